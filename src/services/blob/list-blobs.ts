import type { MessageShape } from '@bufbuild/protobuf';
import { chunkBySize } from '#base/chunk-by-size';
import { wrap } from '#base/gitaly-error';
import type { WalkedObject } from '#git/objects/walk-objects';
import { walkObjects } from '#git/objects/walk-objects';
import type { HandlerContext } from '#rpc/server/handler';
import { type ListBlobsRequest, ListBlobsResponseSchema } from '#wire/gen/blob_pb';
import { requireRevisions } from '../convert/revision.ts';
import { type BlobName, blobItems } from './blob-items.ts';
import { encodeBlobs, itemBytes } from './encode-blobs.ts';
import type { BlobRooms } from './index.ts';

/**
 * Sends the blobs that revisions lead to, each once, in the order of `rev-list`: at most `limit` of them (0 means all), of each at most
 * `bytes_limit` bytes (0 none, negative all), with the path at which it was found first when asked for.
 */
export async function* listBlobs(
  request: ListBlobsRequest,
  context: HandlerContext,
  rooms: BlobRooms,
): AsyncGenerator<MessageShape<typeof ListBlobsResponseSchema>> {
  const repository = rooms.storages.open(request.repository);
  const revisions = requireRevisions(request.revisions, { allowPathScoped: true });

  const { limit, bytesLimit } = request;
  async function* walk(signal: AbortSignal): AsyncGenerator<readonly BlobName[]> {
    const walked = walkObjects(repository.git, repository, { revisions, type: 'blob', signal });
    for await (const batch of walked) yield request.withPaths ? batch : batch.map(withoutPath);
  }
  const items = blobItems(repository.objects, walk, { signal: context.signal, limit, bytesLimit });
  try {
    for await (const chunk of chunkBySize(items, { sizeOf: itemBytes })) yield encodeBlobs(ListBlobsResponseSchema, chunk);
  } catch (error) {
    throw wrap(error, 'processing blobs');
  }
}

function withoutPath({ oid }: WalkedObject): BlobName {
  return { oid };
}
