import { readFile, stat, writeFile } from 'node:fs/promises';
import { wrap } from '#base/gitaly-error';
import { flag, type GitOption, gitCommand, value } from '#git/command/git-command';
import { GitExitError } from '#git/command/process/exit-error';
import { readSettings } from '#git/repository-files/config-file';
import type { Vote } from '#storage/lifecycle/voter';
import { replaceLocked } from '#storage/locks/locked-file';
import { LockTakenError } from '#storage/locks/repository-lock';
import type { Repository } from '#storage/repository';
import { createTempDirectory } from '#storage/temp-directories';

/** Exit code of `git config` for a pattern that matches no setting. */
const NO_MATCH = 1;
const PERMISSIONS = 0o777;

export interface EditOptions {
  readonly vote?: Vote | undefined;
  readonly signal: AbortSignal;
}

/**
 * Removes the settings whose name matches from the `config` file of a repository. git is started
 * only if there are some, or if the file is unusual.
 *
 * @param pattern in the form that git and JavaScript share.
 * @returns whether there were any. @throws {GitalyError} `committing config: …`.
 */
export async function removeSettings(
  repository: Repository,
  pattern: string,
  options: EditOptions,
): Promise<boolean> {
  const settings = readSettings(repository);
  const expression = new RegExp(pattern);
  if (settings !== undefined && !settings.some(({ key }) => expression.test(key))) return false;

  await using scratch = await createTempDirectory(repository.storage, 'repo');
  const draft = `${scratch.path}/config`;
  const before = await readFile(`${repository.path}/config`);
  await writeFile(draft, before);
  const config = async (gitOptions: readonly GitOption[], word: string): Promise<string> => {
    const command = gitCommand('config', { options: [...gitOptions, value('--file', draft)], args: [word] });
    return (await repository.run(command, { signal: options.signal })).toString('latin1');
  };
  const names = await config([flag('--name-only'), flag('--get-regexp')], pattern).catch(ifNone);
  const keys = new Set(names?.split('\n').filter((name) => name !== ''));
  for (const key of keys) await config([flag('--unset-all')], key);
  if (keys.size === 0) return false;
  await replaceConfig(repository, { before, after: await readFile(draft) }, options.vote);
  return true;
}

function ifNone(error: unknown): undefined {
  if (error instanceof GitExitError && error.exitCode === NO_MATCH) return undefined;
  throw error;
}

/**
 * Removes the headers of sections without settings.
 *
 * @returns their number. @throws {Error} when git reads the result otherwise than the file.
 */
export async function removeEmptySections(repository: Repository, { signal }: EditOptions): Promise<number> {
  const file = `${repository.path}/config`;
  const before = await readFile(file, 'latin1');
  const lines = before.split(/(?<=\n)/);
  const kept = lines.filter((line, index) => {
    const next = lines[index + 1];
    return !isHeader(line) || (next !== undefined && !isHeader(next));
  });
  if (kept.length === lines.length) return 0;

  await using scratch = await createTempDirectory(repository.storage, 'repo');
  const draft = `${scratch.path}/config`;
  const content = Buffer.from(kept.join(''), 'latin1');
  await writeFile(draft, content);
  const list = async (path: string): Promise<Buffer> =>
    await repository.run(gitCommand('config', { options: [value('--file', path), flag('--list')] }), {
      signal,
    });
  if (!(await list(file)).equals(await list(draft)))
    throw new Error('section pruning has caused config change');
  // All nodes have the same settings before and after: no vote.
  await replaceConfig(repository, { before: Buffer.from(before, 'latin1'), after: content }, undefined);
  return lines.length - kept.length;
}

function isHeader(line: string): boolean {
  return /^\s*\[.*\]\s*$/.test(line);
}

/** Replaces the file, unless it is another one than was read: the change of somebody else stays. */
async function replaceConfig(
  repository: Repository,
  { after, before }: { readonly after: Buffer; readonly before: Buffer },
  vote: Vote | undefined,
): Promise<void> {
  const file = `${repository.path}/config`;
  const mode = (await stat(file)).mode & PERMISSIONS;
  const content = async (): Promise<Buffer> => {
    if (!(await readFile(file)).equals(before)) throw new LockTakenError();
    return after;
  };
  await replaceLocked(file, content, { mode, vote }).catch((error: unknown) => {
    throw wrap(
      error,
      error instanceof LockTakenError ? 'committing config: locking file' : 'committing config',
    );
  });
}
