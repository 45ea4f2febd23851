import { wrap } from '#base/gitaly-error';
import { chunkBySize } from '#base/streams/chunk-by-size';
import { namedBlobs } from '#git/objects/named-blobs';
import { allObjects, type WalkedObject, walkObjects } from '#git/objects/walk-objects';
import { requireRevisions } from '#services/convert/request/revision';
import type { Repository } from '#storage/repository';
import {
  ListAllBlobsResponseSchema,
  type ListBlobsRequest,
  ListBlobsResponseSchema,
} from '#wire/gen/blob_pb';
import { type BlobItem, type BlobName, blobItems, namedItems } from './blob-items.ts';
import type { Handlers } from './dependencies.ts';
import { encodeBlobs, itemBytes } from './encode-blobs.ts';

/**
 * Sends the blobs that revisions lead to, each once, in the order of `rev-list`: at most `limit` of
 * them (0 means all), of each at most `bytes_limit` bytes (0 none, negative all), with the path at
 * which it was found first when requested.
 */
export const listBlobs: Handlers['listBlobs'] = async function* (request, context, deps) {
  const repository = deps.storages.open(request.repository);
  const revisions = await requireRevisions(request.revisions, { allowPathScoped: true });
  try {
    const items = await itemsOf(repository, request, { revisions, signal: context.signal });
    for await (const chunk of chunkBySize(items, { sizeOf: itemBytes }))
      yield encodeBlobs(ListBlobsResponseSchema, chunk);
  } catch (error) {
    throw wrap(error, 'processing blobs');
  }
};

/** Reads blobs that are named by id in process, and lets git walk otherwise. */
async function itemsOf(
  repository: Repository,
  { limit, bytesLimit, withPaths }: ListBlobsRequest,
  { revisions, signal }: { readonly revisions: readonly Buffer[]; readonly signal: AbortSignal },
): Promise<AsyncIterable<BlobItem> | Iterable<BlobItem>> {
  const { objects } = repository;
  const isDataWanted = bytesLimit !== 0n;
  const named = await namedBlobs(repository, revisions, { isDataWanted, limit, signal });
  if (named !== undefined) return namedItems(named, bytesLimit);
  async function* walk(walkSignal: AbortSignal): AsyncGenerator<readonly BlobName[]> {
    const walked = walkObjects(repository, { revisions, type: 'blob', signal: walkSignal });
    for await (const batch of walked) yield withPaths ? batch : batch.map(withoutPath);
  }
  return blobItems(objects, walk, { signal, limit, bytesLimit });
}

function withoutPath({ oid }: WalkedObject): BlobName {
  return { oid };
}

/**
 * Sends all blobs of the object database, including unreachable ones, in no particular order.
 * Limits as in ListBlobs.
 */
export const listAllBlobs: Handlers['listAllBlobs'] = async function* (request, context, deps) {
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
};
