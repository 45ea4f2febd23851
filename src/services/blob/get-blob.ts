import type { MessageInitShape } from '@bufbuild/protobuf';
import { invalidArgument, wrap } from '#base/gitaly-error';
import type { ObjectInfo } from '#git/names/object-info';
import type { OpenObject } from '#git/objects/opened-object';
import { takeBytes } from '#services/convert/request/take-bytes';
import { MAX_CHUNK_BYTES } from '#services/convert/response/stream-responses';
import { encodedMessage } from '#wire/fast/encoded-message';
import { fieldNumbers } from '#wire/fast/field-numbers';
import { encodeWith } from '#wire/fast/reverse-writer';
import { GetBlobResponseSchema } from '#wire/gen/blob_pb';
import type { Handlers } from './dependencies.ts';

const FIELD = fieldNumbers(GetBlobResponseSchema, { size: 'number', data: 'bytes', oid: 'text' });

/** Up to here a copy is cheaper than one more piece on the way. */
const MAX_BY_HAND_BYTES = 16 * 1024;

type Response = MessageInitShape<typeof GetBlobResponseSchema>;

/**
 * Sends a blob: its size and id with the first piece, the rest as it is read. What is no blob or is
 * not there gives one empty message. A big blob is never held in memory; a client that reads slowly
 * slows git down.
 *
 * `limit` is the number of bytes that are sent: 0 none, negative all.
 */
export const getBlob: Handlers['getBlob'] = async function* (request, context, deps) {
  const { objects } = deps.storages.open(request.repository);
  if (request.oid === '') throw invalidArgument('empty Oid');

  if (request.limit === 0n) {
    const info = await objects.info(request.oid, context).catch(reading);
    yield info?.type === 'blob' ? header(info) : {};
    return;
  }
  const object = await objects.openObject(request.oid, context).catch(reading);
  if (object?.type === 'blob') {
    yield* blobPieces(object, request.limit);
  } else {
    if (object !== undefined && object.data === undefined) object.stream.destroy();
    yield {};
  }
};

async function* blobPieces(object: OpenObject, limit: bigint): AsyncGenerator<Response> {
  const length = limit < 0n || limit > BigInt(object.size) ? object.size : Number(limit);
  if (object.data !== undefined && length <= MAX_CHUNK_BYTES) {
    yield encode(object, object.data.subarray(0, length));
    return;
  }
  let isFirst = true;
  for await (const data of takeBytes(object.data === undefined ? object.stream : [object.data], length)) {
    yield isFirst ? { ...header(object), data } : { data };
    isFirst = false;
  }
  if (isFirst) yield header(object);
}

/**
 * Encodes a response. Most calls are answered with one small message, which is written directly;
 * larger data are not copied.
 */
function encode(object: ObjectInfo, data: Buffer): Response {
  if (data.length > MAX_BY_HAND_BYTES) return { ...header(object), data };
  const { oid, size } = object;
  const bytes = encodeWith((writer) => {
    writer.text(FIELD.oid, oid);
    writer.bytes(FIELD.data, data);
    writer.number(FIELD.size, size);
  });
  return encodedMessage(GetBlobResponseSchema, bytes);
}

function header({ oid, size }: ObjectInfo): Response {
  return { oid, size: BigInt(size) };
}

function reading(error: unknown): never {
  throw wrap(error, 'read object');
}
