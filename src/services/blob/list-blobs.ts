import type { MessageShape } from '@bufbuild/protobuf';
import { wrap } from '#base/gitaly-error';
import { chunkBySize } from '#base/streams/chunk-by-size';
import type { WalkedObject } from '#git/objects/walk-objects';
import { walkObjects } from '#git/objects/walk-objects';
import type { HandlerContext } from '#rpc/server/handler';
import { requireRevisions } from '#services/convert/request/revision';
import { type ListBlobsRequest, ListBlobsResponseSchema } from '#wire/gen/blob_pb';
import { type BlobName, blobItems } from './blob-items.ts';
import type { BlobDependencies } from './dependencies.ts';
import { encodeBlobs, itemBytes } from './encode-blobs.ts';

/**
 * Sends the blobs that revisions lead to, each once, in the order of `rev-list`: at most `limit` of
 * them (0 means all), of each at most `bytes_limit` bytes (0 none, negative all), with the path at
 * which it was found first when requested.
 */
export async function* listBlobs(
  request: ListBlobsRequest,
  context: HandlerContext,
  deps: BlobDependencies,
): AsyncGenerator<MessageShape<typeof ListBlobsResponseSchema>> {
  const repository = deps.storages.open(request.repository);
  const revisions = await requireRevisions(request.revisions, { allowPathScoped: true });

  const { limit, bytesLimit } = request;
  async function* walk(signal: AbortSignal): AsyncGenerator<readonly BlobName[]> {
    const walked = walkObjects(repository, { revisions, type: 'blob', signal });
    for await (const batch of walked) yield request.withPaths ? batch : batch.map(withoutPath);
  }
  const items = blobItems(repository.objects, walk, { signal: context.signal, limit, bytesLimit });
  try {
    for await (const chunk of chunkBySize(items, { sizeOf: itemBytes }))
      yield encodeBlobs(ListBlobsResponseSchema, chunk);
  } catch (error) {
    throw wrap(error, 'processing blobs');
  }
}

function withoutPath({ oid }: WalkedObject): BlobName {
  return { oid };
}
