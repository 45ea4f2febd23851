import type { GitCommand } from '#git/command/git-command';
import { BulkPipe } from '#git/command/process/bulk-pipe';
import type { GitProcess } from '#git/command/process/git-process';
import type { SpawnOptions } from '#git/command/spawn-options';
import type { Repository } from '#storage/repository';
import { checkConfigKeys } from './config-options.ts';

/** git could not be started; `cause` has the reason. The RPCs prefix it differently. */
export class GitStartError extends Error {
  override readonly name = 'GitStartError';
}

/**
 * Starts git for communication with a client, with a pipe for standard input, when it is the
 * caller's turn.
 *
 * @throws {GitStartError}
 */
export async function startService(
  repository: Repository,
  command: GitCommand,
  options: SpawnOptions,
): Promise<GitProcess> {
  return await inTurn(repository, options, () => repository.spawn(command, { ...options, stdin: 'pipe' }));
}

/**
 * Starts git like {@link startService}, with standard output in a pipe for bulk data if the system
 * supports it; `process.stdout` must not be used then.
 *
 * @throws {GitStartError}
 */
export async function startBulkService(
  repository: Repository,
  command: GitCommand,
  options: SpawnOptions,
): Promise<{ process: GitProcess; output: BulkPipe | undefined }> {
  return await inTurn(repository, options, () => {
    const output = BulkPipe.open();
    try {
      const stdout = output === undefined ? {} : { stdout: output.writeEnd };
      return { process: repository.spawn(command, { ...options, ...stdout, stdin: 'pipe' }), output };
    } catch (error) {
      output?.[Symbol.dispose]();
      throw error;
    } finally {
      output?.closeWriteEnd();
    }
  });
}

async function inTurn<T>(repository: Repository, options: SpawnOptions, start: () => T): Promise<T> {
  try {
    checkConfigKeys(options.config ?? []);
    await repository.spawnTurn(options.signal);
    return start();
  } catch (error) {
    throw new GitStartError('starting git', { cause: error });
  }
}
