import { posix } from 'node:path';
import { invalidArgument } from '#base/gitaly-error';
import { alternateDirectory, readAlternates } from '#storage/alternates';
import type { Repository } from '#storage/repository';
import type { RepositoryTarget } from '#storage/repository-target';
import type { Storages } from '#storage/storages';
import { openPool } from './open-pool.ts';

/**
 * Returns the pool from which a repository borrows objects: the first directory in its alternates.
 *
 * @returns `undefined` if it has no alternates.
 * @throws {GitalyError} when they name something that is not a pool of the same storage.
 */
export async function poolOfMember(
  storages: Storages,
  member: Repository,
): Promise<RepositoryTarget | undefined> {
  const [line] = (await readAlternates(member.path))?.objectDirectories ?? [];
  if (line === undefined) return undefined;
  const directory = alternateDirectory(member.path, line);
  const relativePath = posix.relative(member.storagePath, posix.dirname(directory));
  if (posix.basename(directory) !== 'objects' || relativePath.startsWith('..'))
    throw invalidArgument('alternates do not name the objects of a repository');
  const target = { storageName: member.storageName, relativePath };
  openPool(storages, target);
  return target;
}
