import { invalidArgument, withCode, wrap } from '#base/gitaly-error';
import { HeldBytes } from '#base/memory/held-bytes';
import type { ResponseOf } from '#rpc/server/handler';
import type { StoredMember } from '#storage/pool-metadata/pool-metadata-store';
import type { StorePoolMetadataRequest, StorePoolMetadataResponseSchema } from '#wire/gen/internal_pb';
import type { InternalDependencies } from './dependencies.ts';
import { requireStore } from './require-store.ts';

/** Memory for the members of one call: a million of them. GitLab.com has fewer in a storage. */
const MAX_MEMBER_BYTES = 384 * 1024 * 1024;

/** Replaces the stored pools of the first message's storage. No message changes nothing. */
export async function storePoolMetadata(
  requests: AsyncIterable<StorePoolMetadataRequest>,
  deps: InternalDependencies,
): ResponseOf<typeof StorePoolMetadataResponseSchema> {
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
}
