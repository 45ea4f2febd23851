import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { chunkBySize } from '#base/chunk-by-size';
import { GitalyError, wrap } from '#base/gitaly-error';
import { isGenerated, LOOKED_AT_BYTES } from '#domain/generated/is-generated';
import type { ObjectReader, OpenObject } from '#git/objects/object-reader';
import { type Looked, openListed } from '#git/objects/open-listed';
import type { HandlerContext } from '#rpc/server/handler';
import {
  type CheckBlobsGeneratedRequest,
  type CheckBlobsGeneratedRequest_Blob,
  type CheckBlobsGeneratedResponse_Blob,
  CheckBlobsGeneratedResponse_BlobSchema,
  type CheckBlobsGeneratedResponseSchema,
} from '#wire/gen/analysis_pb';
import { openRequests } from '../convert/first-request.ts';
import { requireRevision } from '../convert/revision.ts';
import type { AnalysisRooms } from './index.ts';

/**
 * Says of each file whether a program wrote it. Every request is answered by itself, in order, with at least one message. Only the first
 * request says where the repository is.
 */
export async function* checkBlobsGenerated(
  requests: AsyncIterable<CheckBlobsGeneratedRequest>,
  context: HandlerContext,
  rooms: AnalysisRooms,
): AsyncGenerator<MessageInitShape<typeof CheckBlobsGeneratedResponseSchema>> {
  const { first, rest } = await openRequests(requests);
  if (first === undefined) throw new GitalyError('INTERNAL', 'receiving first request: EOF');
  const { objects } = rooms.storages.open(first.repository);

  checkBlobs(first.blobs);
  yield* answer(first.blobs, objects, context.signal);
  for await (const { blobs } of rest) {
    checkBlobs(blobs);
    yield* answer(blobs, objects, context.signal);
  }
}

function checkBlobs(blobs: readonly CheckBlobsGeneratedRequest_Blob[]): void {
  const prefix = 'validating request: ';
  if (blobs.length === 0) throw new GitalyError('INVALID_ARGUMENT', `${prefix}empty blobs`);
  for (const { revision, path } of blobs) {
    requireRevision(revision, { allowPathScoped: true, prefix });
    if (path.length === 0) throw new GitalyError('INVALID_ARGUMENT', `${prefix}empty path`);
  }
}

/** The messages for one request. */
async function* answer(
  blobs: readonly CheckBlobsGeneratedRequest_Blob[],
  objects: ObjectReader,
  signal: AbortSignal,
): AsyncGenerator<MessageInitShape<typeof CheckBlobsGeneratedResponseSchema>> {
  const checked = check(blobs, objects, signal);
  for await (const chunk of chunkBySize(checked, { sizeOf, upperBound })) yield { blobs: chunk };
}

async function* check(
  blobs: readonly CheckBlobsGeneratedRequest_Blob[],
  objects: ObjectReader,
  signal: AbortSignal,
): AsyncGenerator<CheckBlobsGeneratedResponse_Blob> {
  const look = ({ revision }: CheckBlobsGeneratedRequest_Blob): Promise<Looked> => find(objects, revision, signal);
  for await (const { item, object } of openListed(objects, blobs, { look, signal })) {
    if (object === undefined) throw new GitalyError('INTERNAL', 'reading object: object not found');
    const path = Buffer.from(item.path).toString();
    const generated = isGenerated(path, await startOf(object));
    yield create(CheckBlobsGeneratedResponse_BlobSchema, { revision: item.revision, generated });
  }
}

async function find(objects: ObjectReader, revision: Uint8Array, signal: AbortSignal): Promise<Looked> {
  const info = await objects.info(revision, { signal }).catch((error: unknown) => {
    throw wrap(error, 'reading object');
  });
  if (info === undefined) throw new GitalyError('INTERNAL', 'reading object: object not found');
  if (info.type !== 'blob') throw new GitalyError('INVALID_ARGUMENT', 'object is not a blob');
  return { info, isWanted: true };
}

/** As much of a file as the rules look at. A big file is left then. */
async function startOf(object: OpenObject): Promise<Buffer> {
  if (object.data !== undefined) return object.data.subarray(0, LOOKED_AT_BYTES);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of object.stream) {
    // A stream without an encoding yields Buffers.
    chunks.push(chunk as Buffer);
    bytes += chunks.at(-1)?.length ?? 0;
    if (bytes >= LOOKED_AT_BYTES) break;
  }
  return Buffer.concat(chunks).subarray(0, LOOKED_AT_BYTES);
}

function sizeOf(blob: CheckBlobsGeneratedResponse_Blob): number {
  return toBinary(CheckBlobsGeneratedResponse_BlobSchema, blob).length;
}

/** The revision with its tag and length, and the answer. */
function upperBound({ revision }: CheckBlobsGeneratedResponse_Blob): number {
  return 1 + 5 + revision.length + 2;
}
