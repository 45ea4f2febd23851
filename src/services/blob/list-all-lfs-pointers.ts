import { withCode } from '#base/gitaly-error';
import type { ObjectInfo } from '#git/names/object-info';
import { MAX_LFS_POINTER_BYTES } from '#git/objects/parse/parse-lfs-pointer';
import { allObjects } from '#git/objects/walk-objects';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import type { ListAllLFSPointersRequest, ListAllLFSPointersResponseSchema } from '#wire/gen/blob_pb';
import type { BlobDependencies } from './dependencies.ts';
import { chunkPointers, lfsPointers } from './lfs-pointers.ts';

/**
 * Sends the LFS pointers of the whole object database, including unreachable ones; at most `limit`
 * (0 means all).
 */
export async function* listAllLfsPointers(
  request: ListAllLFSPointersRequest,
  context: HandlerContext,
  deps: BlobDependencies,
): ResponsesOf<typeof ListAllLFSPointersResponseSchema> {
  const repository = deps.storages.open(request.repository);

  async function* small(signal: AbortSignal): AsyncGenerator<readonly ObjectInfo[]> {
    for await (const batch of allObjects(repository, { type: 'blob', signal })) {
      yield batch.filter(({ size }) => size <= MAX_LFS_POINTER_BYTES);
    }
  }
  const pointers = lfsPointers(repository.objects, small, { signal: context.signal, limit: request.limit });
  try {
    for await (const chunk of chunkPointers(pointers)) yield { lfsPointers: chunk };
  } catch (error) {
    throw withCode(error, 'INTERNAL');
  }
}
