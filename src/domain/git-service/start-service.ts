import { BulkPipe } from '#git/command/bulk-pipe';
import type { GitCommand } from '#git/command/git-command';
import type { GitProcess } from '#git/command/git-process';
import type { SpawnOptions } from '#git/git';
import type { Repository } from '#storage/repository';
import { checkConfigKeys } from './config-options.ts';

/** Git could not be started; `cause` says why. The RPCs put different words before it. */
export class GitStartError extends Error {
  override readonly name = 'GitStartError';
}

/**
 * Starts git to talk with a client, standard input as a pipe.
 *
 * @throws {GitStartError}
 */
export function startService(repository: Repository, command: GitCommand, options: SpawnOptions): GitProcess {
  try {
    checkConfigKeys(options.config ?? []);
    return repository.spawn(command, { ...options, stdin: 'pipe' });
  } catch (error) {
    throw new GitStartError('starting git', { cause: error });
  }
}

/**
 * The same with standard output in a pipe for bulk data, where there is one; `process.stdout` must not be used then.
 *
 * @throws {GitStartError}
 */
export function startBulkService(
  repository: Repository,
  command: GitCommand,
  options: SpawnOptions,
): { process: GitProcess; output: BulkPipe | undefined } {
  const output = BulkPipe.open();
  try {
    const stdout = output === undefined ? {} : { stdout: output.writeEnd };
    return { process: startService(repository, command, { ...options, ...stdout }), output };
  } catch (error) {
    output?.[Symbol.dispose]();
    throw error;
  } finally {
    output?.closeWriteEnd();
  }
}
