import { codeOf, GitalyError, wrap, wrapped } from '#base/gitaly-error';
import type { Repository } from '#storage/repository';
import type { RepositoryTarget } from '#storage/repository-target';
import type { Storages } from '#storage/storages';
import { disconnectMember } from '../object-pool/disconnect-member.ts';
import { linkMember } from '../object-pool/link-member.ts';
import { InvalidPoolError, openPool } from '../object-pool/open-pool.ts';
import { poolOfMember } from '../object-pool/pool-of-member.ts';
import type { RemoteRepository } from '../remote/server/remote-repository.ts';
import { createFromRemoteSnapshot } from './create-from-source.ts';
import type { ReplicateOptions } from './replicate-options.ts';

/**
 * Makes a repository a member of the object pool at the same path as that of the source, which is
 * copied if its storage has none; a repository whose source is in no pool leaves its own.
 *
 * @throws {GitalyError} FAILED_PRECONDITION `target repository links to different object pool`;
 *   `get source object pool: …`, `disconnect target from object pool: …`,
 *   `get target object pool: …`, `replicate object pool: …`, `link target object pool: …`.
 */
export async function synchronizePool(
  storages: Storages,
  member: Repository,
  source: RemoteRepository,
  options: ReplicateOptions,
): Promise<void> {
  const pool = await source.objectPool().catch(wrapped('get source object pool'));
  if (pool === undefined) {
    await disconnectMember(member, options).catch(wrapped('disconnect target from object pool'));
    return;
  }
  const current = await poolOfMember(storages, member).catch(wrapped('get target object pool'));
  if (current !== undefined && current.relativePath !== pool.relativePath)
    throw new GitalyError('FAILED_PRECONDITION', 'target repository links to different object pool', {
      metadata: { source_pool_path: pool.relativePath, target_pool_path: current.relativePath },
    });
  if (current !== undefined) return;
  const target = { storageName: member.storageName, relativePath: pool.relativePath };
  const copy = await poolAt(storages, target, pool.repository, options);
  const { borrowers } = storages;
  await linkMember(copy, member, { ...options, borrowers }).catch(wrapped('link target object pool'));
}

/** Opens a pool, or copies it first if it does not exist. */
async function poolAt(
  storages: Storages,
  target: RepositoryTarget,
  source: RemoteRepository,
  options: ReplicateOptions,
): Promise<Repository> {
  try {
    return openPool(storages, target);
  } catch (error) {
    if (!(error instanceof InvalidPoolError)) throw wrap(error, 'get target object pool');
  }
  try {
    return await createFromRemoteSnapshot(storages, target, source, options);
  } catch (error) {
    // Another call has made it in the meantime.
    if (codeOf(error) === 'ALREADY_EXISTS') return openPool(storages, target);
    throw wrap(error, 'replicate object pool');
  }
}
