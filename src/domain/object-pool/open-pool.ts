import { GitalyError, invalidArgument } from '#base/gitaly-error';
import { isGitDirectory } from '#storage/git-directory';
import { isPoolPath } from '#storage/pool-path';
import type { Repository } from '#storage/repository';
import type { RepositoryTarget } from '#storage/repository-target';
import type { Storages } from '#storage/storages';

/** Nothing is at the path of a pool, or something that is no repository. */
export class InvalidPoolError extends GitalyError {
  constructor() {
    super('FAILED_PRECONDITION', 'object pool is not a valid git repository');
  }
}

/**
 * Opens an object pool.
 *
 * @throws {GitalyError} INVALID_ARGUMENT `invalid object pool directory` for a path that is not a
 *   pool's, and as {@link Storages.locate}. {InvalidPoolError}
 */
export function openPool(storages: Storages, target: RepositoryTarget | undefined): Repository {
  const location = storages.locate(target);
  requirePoolPath(target?.relativePath ?? '');
  if (!isGitDirectory(location.path)) throw new InvalidPoolError();
  return storages.open(target);
}

/** @throws {GitalyError} INVALID_ARGUMENT `invalid object pool directory`. */
export function requirePoolPath(relativePath: string): void {
  if (!isPoolPath(relativePath)) throw invalidArgument('invalid object pool directory');
}
