import { messageOf } from '#base/gitaly-error';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import { poolMember } from '#storage/pool-metadata/pool-member';
import { walkRepositories } from '#storage/walk-repositories';
import type { ScanPoolMetadataRequest, ScanPoolMetadataResponseSchema } from '#wire/gen/internal_pb';
import type { InternalDependencies } from './dependencies.ts';
import { storageNamed } from './storage-named.ts';

/**
 * Yields the repositories that borrow objects from a pool, read from their files. Those whose pool
 * does not exist are left out, and noted in the store if there is one.
 */
export async function* scanPoolMetadata(
  { storageName }: ScanPoolMetadataRequest,
  { signal, log }: HandlerContext,
  { storages, poolMetadata }: InternalDependencies,
): ResponsesOf<typeof ScanPoolMetadataResponseSchema> {
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
}
