import { rename } from 'node:fs/promises';
import path from 'node:path';
import { syncPath } from '#base/files/sync-path';
import { GitalyError } from '#base/gitaly-error';
import { systemErrorCode, systemErrorText } from '#base/go/system-error';
import type { RepositoryLocation } from '../repository-target.ts';
import type { Storages } from '../storages.ts';

/**
 * Renames a complete repository into place, and records that it was created. The caller holds the
 * lock of the path.
 *
 * @param from its directory, on the same file system.
 * @throws {GitalyError} ALREADY_EXISTS if something outside the server has made the path.
 */
export async function placeRepository(
  storages: Storages,
  location: RepositoryLocation,
  from: string,
): Promise<void> {
  await storages.recordWhile({ kind: 'created', location }, () => moveIntoPlace(from, location.path));
  storages.noteMove(location);
  storages.repositoryCounts.add(location, 1);
  await storages.borrowers.note(location);
  await syncPath(path.posix.dirname(location.path));
}

async function moveIntoPlace(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    // Something outside the server has created it since the check.
    if (systemErrorCode(error) === 'ENOTEMPTY') throw existsAlready();
    throw new GitalyError(
      'INTERNAL',
      `moving repository into place: rename ${from} ${to}: ${systemErrorText(error)}`,
      {
        cause: error,
      },
    );
  }
}

export function existsAlready(): GitalyError {
  return new GitalyError('ALREADY_EXISTS', 'repository exists already');
}
