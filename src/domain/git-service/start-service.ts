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
