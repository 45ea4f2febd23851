import type { Command } from 'commander';
import { messageOf } from '#base/gitaly-error';
import { upProblems } from './up/parse-up.ts';
import { upOptions } from './up/run-up-command.ts';
import { applyValues, type FileProblem, problemLines, readUpFile } from './up/up-file.ts';

/** Directory of `up` without the argument, and without the key. */
const DEFAULT_DIRECTORY = 'data';

/** Runs `gitaly-ts config check`. Resolves to the exit code: 1 if `up` would refuse the file. */
export async function runConfigCheck(
  up: Command,
  path: string,
  { isJson }: { readonly isJson: boolean },
): Promise<number> {
  const { problems } = await problemsOfConfig(up, path);
  if (isJson) process.stdout.write(`${JSON.stringify({ file: path, problems }, undefined, 2)}\n`);
  else if (problems.length === 0) process.stdout.write(`${path} is valid\n`);
  else process.stderr.write(`${problemLines(path, problems).join('\n')}\n`);
  return problems.length === 0 ? 0 : 1;
}

/** The options of a file are those of the command from now on, if it can be read. */
interface CheckedFile {
  readonly directory: string;
  /** Problems of the keys, otherwise those of the options together. */
  readonly problems: readonly FileProblem[];
}

export async function problemsOfConfig(up: Command, path: string): Promise<CheckedFile> {
  let directory = DEFAULT_DIRECTORY;
  try {
    const file = await readUpFile(path, up);
    directory = file.directory ?? directory;
    if (file.problems.length > 0) return { directory, problems: file.problems };
    applyValues(file, up);
    const problems = await upProblems(upOptions(up, directory));
    return { directory, problems: problems.map((message) => ({ line: undefined, message })) };
  } catch (error) {
    return { directory, problems: [{ line: undefined, message: messageOf(error) }] };
  }
}
