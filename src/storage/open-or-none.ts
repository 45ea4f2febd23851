import { codeOf } from '#base/gitaly-error';
import type { Repository } from './repository.ts';
import type { RepositoryTarget } from './repository-target.ts';
import type { Storages } from './storages.ts';

/** Opens a repository; `undefined` if there is nothing at its path. @throws {GitalyError} as `open`. */
export function openOrNone(storages: Storages, target: RepositoryTarget): Repository | undefined {
  try {
    return storages.open(target);
  } catch (error) {
    if (codeOf(error) === 'NOT_FOUND') return undefined;
    throw error;
  }
}
