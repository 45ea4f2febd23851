import type { MessageShape } from '@bufbuild/protobuf';
import { wrap } from '#base/gitaly-error';
import { chunkBySize } from '#base/streams/chunk-by-size';
import { allObjects } from '#git/objects/walk-objects';
import type { HandlerContext } from '#rpc/server/handler';
import { type ListAllBlobsRequest, ListAllBlobsResponseSchema } from '#wire/gen/blob_pb';
import { blobItems } from './blob-items.ts';
import type { BlobDependencies } from './dependencies.ts';
import { encodeBlobs, itemBytes } from './encode-blobs.ts';

/**
 * Sends all blobs of the object database, including unreachable ones, in no particular order.
 * Limits as in ListBlobs.
 */
export async function* listAllBlobs(
  request: ListAllBlobsRequest,
  context: HandlerContext,
  deps: BlobDependencies,
): AsyncGenerator<MessageShape<typeof ListAllBlobsResponseSchema>> {
  const repository = deps.storages.open(request.repository, { otherwise: 'INTERNAL' });

  const all = (signal: AbortSignal) => allObjects(repository, { type: 'blob', signal });
  const { limit, bytesLimit } = request;
  const items = blobItems(repository.objects, all, { signal: context.signal, limit, bytesLimit });
  try {
    for await (const chunk of chunkBySize(items, { sizeOf: itemBytes }))
      yield encodeBlobs(ListAllBlobsResponseSchema, chunk);
  } catch (error) {
    throw wrap(error, 'processing blobs');
  }
}
