import type { ResponsesOf } from '#rpc/server/handler';
import type { ListPoolMetadataRequest, ListPoolMetadataResponseSchema } from '#wire/gen/internal_pb';
import type { InternalDependencies } from './dependencies.ts';
import { requireStore } from './require-store.ts';

/** Yields the stored pools of a storage, one a message. */
export async function* listPoolMetadata(
  { storageName }: ListPoolMetadataRequest,
  deps: InternalDependencies,
): ResponsesOf<typeof ListPoolMetadataResponseSchema> {
  for await (const poolDiskPath of requireStore(deps).pools(storageName)) yield { poolDiskPath };
}
