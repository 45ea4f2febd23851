import { basename } from 'node:path';
import { checkNul } from './git-command.ts';
import type { GitProcess } from './process/git-process.ts';
import { type ProcessObserver, type ProcessOptions, startProcess } from './process/start-process.ts';
import type { Arg, Spawner } from './spawner/spawner.ts';

export interface ProgramOptions extends ProcessOptions {
  readonly spawner: Spawner;
  /** Arguments after the program's own name. */
  readonly args?: readonly Arg[];
  /** The whole environment; nothing is inherited or added. */
  readonly env: Readonly<Record<string, Arg>>;
  readonly cwd: string;
  readonly observer?: ProcessObserver;
}

/**
 * Starts a program that is not git (a custom hook) with the same life cycle as a git command.
 * `argv[0]` is the path.
 *
 * @throws {GitalyError} when the signal is already aborted or a word contains NUL; {SpawnError}
 *   when the kernel refuses.
 */
export function spawnProgram(file: string, options: ProgramOptions): GitProcess {
  const program = basename(file);
  const argv = [file, ...(options.args ?? [])];
  for (const word of argv) checkNul(program, word);
  const observers = options.observer === undefined ? [] : [options.observer];
  return startProcess({
    ...options,
    file,
    argv,
    program,
    subcommand: '',
    repositoryPath: undefined,
    observers,
  });
}
