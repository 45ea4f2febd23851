import { wrap } from '#base/gitaly-error';
import type { Storage } from '#storage/repository-target';
import type { Storages } from '#storage/storages';

/** Returns a storage. @throws {GitalyError} INVALID_ARGUMENT with a prefix. */
export function storageNamed(storages: Storages, name: string, prefix: string): Storage {
  try {
    return storages.storage(name);
  } catch (error) {
    throw wrap(error, prefix);
  }
}
