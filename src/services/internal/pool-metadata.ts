import { GitalyError, invalidArgument, messageOf, withCode, wrap } from '#base/gitaly-error';
import { HeldBytes } from '#base/memory/held-bytes';
import { poolMember } from '#storage/pool-metadata/pool-member';
import type { PoolMetadataStore, StoredMember } from '#storage/pool-metadata/pool-metadata-store';
import { walkRepositories } from '#storage/walk-repositories';
import type { Handlers, InternalDependencies } from './dependencies.ts';
import { storageNamed } from './storage-named.ts';

/** Memory for the members of one call: a million of them. GitLab.com has fewer in a storage. */
const MAX_MEMBER_BYTES = 384 * 1024 * 1024;

/** @throws {GitalyError} FAILED_PRECONDITION without `[pool_metadata] database_path`. */
function requireStore({ poolMetadata }: InternalDependencies): PoolMetadataStore {
  if (poolMetadata === undefined)
    throw new GitalyError('FAILED_PRECONDITION', 'pool metadata store not configured');
  return poolMetadata;
}

/** Replaces the stored pools of the first message's storage. No message changes nothing. */
export const storePoolMetadata: Handlers['storePoolMetadata'] = async (requests, _context, deps) => {
  const store = requireStore(deps);
  const members: StoredMember[] = [];
  using held = new HeldBytes(MAX_MEMBER_BYTES, 'members');
  let storageName = '';
  for await (const request of requests) {
    storageName ||= request.storageName;
    if (storageName === '') throw invalidArgument('storage_name is required');
    held.add(request.relativePath);
    held.add(request.poolDiskPath);
    members.push({
      relativePath: request.relativePath,
      poolPath: request.poolDiskPath,
      isUpstream: request.isUpstream,
    });
  }
  if (members.length === 0) return {};
  await store.replace(storageName, members).catch((error: unknown) => {
    throw wrap(withCode(error, 'INTERNAL'), 'store pool data');
  });
  return {};
};

/**
 * Yields the repositories that borrow objects from a pool, read from their files. Those whose pool
 * does not exist are left out, and noted in the store if there is one.
 */
export const scanPoolMetadata: Handlers['scanPoolMetadata'] = async function* (
  { storageName },
  { signal, log },
  { storages, poolMetadata },
) {
  const storage = storageNamed(storages, storageName, 'get storage');
  for await (const found of walkRepositories(storage, { signal })) {
    const member = await poolMember(storage, found);
    if (member === undefined) continue;
    const { relativePath, poolPath } = member;
    if (member.isPoolValid) yield { relativePath, poolDiskPath: poolPath };
    else
      await poolMetadata?.noteBroken(storageName, relativePath, poolPath).catch((error: unknown) => {
        log.add({ 'pool_metadata.error': messageOf(error) });
      });
  }
};

/** Yields the stored pools of a storage, one a message. */
export const listPoolMetadata: Handlers['listPoolMetadata'] = async function* (
  { storageName },
  _context,
  deps,
) {
  for await (const poolDiskPath of requireStore(deps).pools(storageName)) yield { poolDiskPath };
};
