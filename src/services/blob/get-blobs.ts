import type { MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import { eachInTurn, mapInTurns } from '#base/async/loop-turns';
import { SUBMODULE } from '#base/file-mode';
import { GitalyError, invalidArgument, wrapped } from '#base/gitaly-error';
import type { ObjectInfo } from '#git/names/object-info';
import type { ObjectReader } from '#git/objects/object-reader';
import { type Listed, type Looked, openListed } from '#git/objects/open-listed';
import type { OpenObject } from '#git/objects/opened-object';
import type { TreeEntry } from '#git/objects/parse/parse-tree';
import { EntryFinder } from '#git/trees/find-entry';
import { readyMessage, readyResponses } from '#rpc/common/grpc/ready-responses';
import { requireRevision } from '#services/convert/request/revision';
import { takeBytes } from '#services/convert/request/take-bytes';
import { fieldNumbers } from '#wire/fast/field-numbers';
import { encodeWith } from '#wire/fast/reverse-writer';
import { GetBlobsResponseSchema } from '#wire/gen/blob_pb';
import { ObjectType } from '#wire/gen/shared_pb';
import { bytesWithin } from './byte-limit.ts';
import type { Handlers } from './dependencies.ts';

type Response = MessageInitShape<typeof GetBlobsResponseSchema>;

/** A place that the client requests. */
interface Place {
  readonly revision: string;
  readonly path: Buffer;
}

interface Found extends Looked {
  readonly entry: TreeEntry | undefined;
}

/** Length of data up to which a blob is sent together with others. */
const MAX_SMALL_BYTES = 16 * 1024;
const SLASH = 0x2f;

/** Size up to which messages are collected, and sent together. */
const GROUP_BYTES = 64 * 1024;

const FIELDS = fieldNumbers(GetBlobsResponseSchema, {
  size: 'number',
  data: 'bytes',
  oid: 'text',
  isSubmodule: 'number',
  mode: 'number',
  revision: 'text',
  path: 'bytes',
  type: 'number',
});

type Blob = MessageInitShape<typeof GetBlobsResponseSchema>;

/**
 * Sends what lies at paths of revisions, in the order of the request: blobs with their contents,
 * trees and submodules without. Where there is nothing, the message has only the revision and the
 * path. Further pieces of a blob have nothing but data.
 *
 * `limit` is the number of bytes that are sent of each blob: 0 none, negative all.
 */
export const getBlobs: Handlers['getBlobs'] = async function* (request, context, deps) {
  const { objects } = deps.storages.open(request.repository);
  if (request.revisionPaths.length === 0) throw invalidArgument('empty RevisionPaths');
  await eachInTurn(request.revisionPaths, ({ revision }) => void requireRevision(Buffer.from(revision)));

  const { signal } = context;
  const { limit } = request;
  const places = await mapInTurns(request.revisionPaths, ({ revision, path }) => ({
    revision,
    path: withoutSlashes(path),
  }));
  const finder = new EntryFinder(objects, { signal });
  const look = (place: Place): Promise<Found> =>
    find(place, { finder, objects, signal, isDataWanted: limit !== 0n });
  const group = new BlobGroup();
  try {
    for await (const listed of openListed(objects, places, { look, signal })) {
      const small = smallMessage(listed, limit);
      if (small !== undefined) group.add(small);
      if (small === undefined || group.isFull) yield* group.take();
      if (small === undefined) yield* messages(listed, limit);
    }
  } catch (error) {
    // What was found before it is sent.
    yield* group.take();
    throw error;
  }
  yield* group.take();
};

interface FindOptions {
  readonly finder: EntryFinder;
  readonly objects: ObjectReader;
  readonly signal: AbortSignal;
  readonly isDataWanted: boolean;
}

async function find(
  { revision, path }: Place,
  { finder, objects, signal, isDataWanted }: FindOptions,
): Promise<Found> {
  const entry = await finder.find(Buffer.from(revision), path).catch(wrapped('find by revision and path'));
  // The commit of a submodule is in another repository.
  if (entry === undefined || entry.mode === SUBMODULE) return { entry, info: undefined, isWanted: false };
  const info = await objects.info(entry.oid, { signal });
  if (info === undefined) throw new GitalyError('INTERNAL', 'read object info: object not found');
  return { entry, info, isWanted: isDataWanted && info.type === 'blob' };
}

/** Returns the only message for a place, if it is a small one. */
function smallMessage(listed: Listed<Place, Found>, limit: bigint): Response | undefined {
  if (!listed.looked.isWanted) return firstMessage(listed);
  const { object } = listed;
  if (object?.data === undefined) return undefined;
  const length = bytesWithin(limit, object.size);
  return length <= MAX_SMALL_BYTES
    ? { ...firstMessage(listed), data: object.data.subarray(0, length) }
    : undefined;
}

async function* messages(listed: Listed<Place, Found>, limit: bigint): AsyncGenerator<Response> {
  const { object } = listed;
  if (object === undefined) throw new GitalyError('INTERNAL', 'read object: object not found');
  yield* withData(firstMessage(listed), object, bytesWithin(limit, object.size));
}

function firstMessage({ item, looked: { entry, info } }: Listed<Place, Found>): Response {
  return {
    revision: item.revision,
    path: item.path,
    ...(entry && { oid: entry.oid, mode: entry.mode, isSubmodule: entry.mode === SUBMODULE }),
    ...(entry && { type: info === undefined ? ObjectType.COMMIT : OBJECT_TYPES[info.type] }),
    ...(info && { size: BigInt(info.size) }),
  };
}

/** Yields the first message, with the first data, and then the rest of the data. */
async function* withData(first: Response, object: OpenObject, length: number): AsyncGenerator<Response> {
  let isFirst = true;
  for await (const data of takeBytes(object.data === undefined ? object.stream : [object.data], length)) {
    yield isFirst ? { ...first, data } : { data };
    isFirst = false;
  }
  if (isFirst) yield first;
}

const OBJECT_TYPES: Readonly<Record<ObjectInfo['type'], ObjectType>> = {
  commit: ObjectType.COMMIT,
  blob: ObjectType.BLOB,
  tree: ObjectType.TREE,
  tag: ObjectType.TAG,
};

/** Removes slashes at the end, which have no meaning; a path of slashes only is unchanged. */
function withoutSlashes(path: Uint8Array): Buffer {
  let end = path.length;
  if (end > 1) while (end > 0 && path[end - 1] === SLASH) end--;
  return Buffer.from(path.buffer, path.byteOffset, end);
}

/**
 * Messages of small blobs, encoded, that go out together: to send a message costs more than to
 * encode one.
 */
class BlobGroup {
  #messages: Buffer[] = [];
  #bytes = 0;

  /** True when the messages should be sent. */
  get isFull(): boolean {
    return this.#bytes >= GROUP_BYTES;
  }

  add(blob: Blob): void {
    const message = encodeWith((writer) => {
      writer.number(FIELDS.type, blob.type);
      writer.bytes(FIELDS.path, blob.path);
      writer.text(FIELDS.revision, blob.revision);
      writer.number(FIELDS.mode, blob.mode);
      writer.number(FIELDS.isSubmodule, blob.isSubmodule === true ? 1 : 0);
      writer.text(FIELDS.oid, blob.oid);
      writer.bytes(FIELDS.data, blob.data);
      writer.number(FIELDS.size, blob.size);
    });
    this.#messages.push(message);
    this.#bytes += message.length;
  }

  /** Yields the messages as one, and forgets them; nothing if there are none. */
  *take(): Generator<MessageShape<typeof GetBlobsResponseSchema>, void> {
    if (this.#messages.length === 0) return;
    const responses = readyResponses(this.#messages);
    this.#messages = [];
    this.#bytes = 0;
    yield readyMessage(GetBlobsResponseSchema, responses);
  }
}
