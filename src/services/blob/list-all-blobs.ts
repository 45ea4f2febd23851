import type { MessageShape } from '@bufbuild/protobuf';
import { chunkBySize } from '#base/chunk-by-size';
import { wrap } from '#base/gitaly-error';
import { allObjects } from '#git/objects/walk-objects';
import type { HandlerContext } from '#rpc/server/handler';
import { type ListAllBlobsRequest, ListAllBlobsResponseSchema } from '#wire/gen/blob_pb';
import { blobItems } from './blob-items.ts';
import { encodeBlobs, itemBytes } from './encode-blobs.ts';
import type { BlobRooms } from './index.ts';

/** Sends all blobs of the object database, also those that nothing leads to, in no particular order. Limits as in ListBlobs. */
export async function* listAllBlobs(
  request: ListAllBlobsRequest,
  context: HandlerContext,
  rooms: BlobRooms,
): AsyncGenerator<MessageShape<typeof ListAllBlobsResponseSchema>> {
  const repository = rooms.storages.open(request.repository, { otherwise: 'INTERNAL' });

  const all = (signal: AbortSignal) => allObjects(repository.git, repository, { type: 'blob', signal });
  const { limit, bytesLimit } = request;
  const items = blobItems(repository.objects, all, { signal: context.signal, limit, bytesLimit });
  try {
    for await (const chunk of chunkBySize(items, { sizeOf: itemBytes })) yield encodeBlobs(ListAllBlobsResponseSchema, chunk);
  } catch (error) {
    throw wrap(error, 'processing blobs');
  }
}
