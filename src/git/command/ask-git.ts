import { basename } from 'node:path';
import { collectOutput } from './collect-output.ts';
import { gitEnvironment } from './environment.ts';
import { startProcess } from './process/start-process.ts';
import type { Spawner } from './spawner/spawner.ts';

/** A git program with the part of the server's environment that it gets. */
export interface RunnableGit {
  readonly binary: string;
  readonly inherited: Readonly<Record<string, string>>;
}

/** Limit of a line that git prints about itself. */
const MAX_OUTPUT_BYTES = 4096;

/**
 * Runs git with one word, outside any repository, and returns the line that it prints.
 *
 * @throws {SpawnError} when it cannot be started; {GitExitError} when it fails.
 */
export async function askGit(
  { binary, inherited }: RunnableGit,
  word: 'version' | '--exec-path',
  spawner: Spawner,
): Promise<string> {
  const run = startProcess({
    spawner,
    file: binary,
    argv: [basename(binary), word],
    env: gitEnvironment({ inherited }),
    program: 'git',
    subcommand: word,
    repositoryPath: undefined,
    observers: [],
  });
  return (await collectOutput(run, { maxBytes: MAX_OUTPUT_BYTES })).toString().trim();
}
