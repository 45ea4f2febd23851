import { eachInTurn } from '#base/async/loop-turns';
import { GitalyError, invalidArgument, wrapped } from '#base/gitaly-error';
import { GENERATED_MARK_BYTES, isGenerated } from '#domain/generated/is-generated';
import type { ObjectReader } from '#git/objects/object-reader';
import { type Looked, openListed } from '#git/objects/open-listed';
import type { OpenObject } from '#git/objects/opened-object';
import type { ResponsesOf } from '#rpc/server/handler';
import { openRequests } from '#services/convert/request/first-request';
import { requireRevision } from '#services/convert/request/revision';
import { chunkMessages } from '#services/convert/response/chunk-messages';
import {
  CheckBlobsGeneratedResponse_BlobSchema as BlobSchema,
  type CheckBlobsGeneratedRequest_Blob,
  type CheckBlobsGeneratedResponseSchema,
} from '#wire/gen/analysis_pb';
import type { Handlers } from './dependencies.ts';

interface CheckedBlob {
  readonly revision: Uint8Array;
  readonly generated: boolean;
}

/**
 * Reports for each file whether a program generated it. Every request gets at least one message, in
 * order. Only the first request names the repository.
 */
export const checkBlobsGenerated: Handlers['checkBlobsGenerated'] = async function* (
  requests,
  context,
  deps,
) {
  const { first, rest } = await openRequests(requests, 'receiving first request: EOF');
  const { objects } = deps.storages.open(first.repository);

  await requireBlobs(first.blobs);
  yield* responses(first.blobs, objects, context.signal);
  for await (const { blobs } of rest) {
    await requireBlobs(blobs);
    yield* responses(blobs, objects, context.signal);
  }
};

async function requireBlobs(blobs: readonly CheckBlobsGeneratedRequest_Blob[]): Promise<void> {
  const prefix = 'validating request: ';
  if (blobs.length === 0) throw invalidArgument(`${prefix}empty blobs`);
  await eachInTurn(blobs, ({ revision, path }) => {
    requireRevision(revision, { allowPathScoped: true, prefix });
    if (path.length === 0) throw invalidArgument(`${prefix}empty path`);
  });
}

/** Yields the messages for one request. */
async function* responses(
  blobs: readonly CheckBlobsGeneratedRequest_Blob[],
  objects: ObjectReader,
  signal: AbortSignal,
): ResponsesOf<typeof CheckBlobsGeneratedResponseSchema> {
  const checked = checkedBlobs(blobs, objects, signal);
  for await (const chunk of chunkMessages(BlobSchema, checked, upperBound)) yield { blobs: chunk };
}

async function* checkedBlobs(
  blobs: readonly CheckBlobsGeneratedRequest_Blob[],
  objects: ObjectReader,
  signal: AbortSignal,
): AsyncGenerator<CheckedBlob> {
  const look = ({ revision }: CheckBlobsGeneratedRequest_Blob): Promise<Looked> =>
    blobInfo(objects, revision, signal);
  for await (const { item, object } of openListed(objects, blobs, { look, signal })) {
    if (object === undefined) throw new GitalyError('INTERNAL', 'reading object: object not found');
    const path = Buffer.from(item.path).toString();
    const generated = isGenerated(path, await startOf(object));
    yield { revision: item.revision, generated };
  }
}

async function blobInfo(objects: ObjectReader, revision: Uint8Array, signal: AbortSignal): Promise<Looked> {
  const info = await objects.info(revision, { signal }).catch(wrapped('reading object'));
  if (info === undefined) throw new GitalyError('INTERNAL', 'reading object: object not found');
  if (info.type !== 'blob') throw invalidArgument('object is not a blob');
  return { info, isWanted: true };
}

/** Reads as much of a file as the rules need. The rest of a big file is not read. */
async function startOf(object: OpenObject): Promise<Buffer> {
  if (object.data !== undefined) return object.data.subarray(0, GENERATED_MARK_BYTES);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of object.stream) {
    // A stream without an encoding yields Buffers.
    chunks.push(chunk as Buffer);
    bytes += chunks.at(-1)?.length ?? 0;
    if (bytes >= GENERATED_MARK_BYTES) break;
  }
  return Buffer.concat(chunks).subarray(0, GENERATED_MARK_BYTES);
}

/** Returns the largest size of a result: the revision with its tag and length, and the flag. */
function upperBound({ revision }: CheckedBlob): number {
  return 1 + 5 + revision.length + 2;
}
