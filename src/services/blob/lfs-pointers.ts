import { codeOf, GitalyError, invalidArgument, withCode, wrap } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import type { ObjectInfo } from '#git/names/object-info';
import type { ObjectReader } from '#git/objects/object-reader';
import { type Looked, openListed } from '#git/objects/open-listed';
import { MAX_LFS_POINTER_BYTES, parseLfsPointer } from '#git/objects/parse/parse-lfs-pointer';
import type { NamedObject, ObjectNames } from '#git/objects/read-many';
import { allObjects, walkObjects } from '#git/objects/walk-objects';
import { requireRevisions } from '#services/convert/request/revision';
import { chunkMessages } from '#services/convert/response/chunk-messages';
import { LFSPointerSchema } from '#wire/gen/blob_pb';
import type { Handlers } from './dependencies.ts';

interface LfsPointerMessage {
  readonly oid: string;
  readonly data: Buffer;
  readonly size: bigint;
  readonly fileOid: Buffer;
  readonly fileSize: bigint;
}

/** Returns the message of a blob; `undefined` if it is not a pointer. */
function toLfsPointer(oid: string, data: Buffer): LfsPointerMessage | undefined {
  const pointer = parseLfsPointer(data);
  if (pointer === undefined) return undefined;
  // A view would keep all of git's output in memory, and perhaps only one blob in a thousand is a
  // pointer.
  const own = Buffer.from(data);
  return {
    oid,
    data: own,
    size: BigInt(own.length),
    fileOid: Buffer.from(pointer.fileOid, 'latin1'),
    fileSize: pointer.fileSize,
  };
}

/**
 * Yields the pointers among the blobs that a source names.
 *
 * @param options.limit the number of pointers to yield at most; 0 or less for all.
 */
async function* lfsPointers(
  objects: ObjectReader,
  source: ObjectNames<NamedObject>,
  { signal, limit }: { readonly signal: AbortSignal; readonly limit: number },
): AsyncGenerator<LfsPointerMessage> {
  let left = limit > 0 ? limit : Number.POSITIVE_INFINITY;
  for await (const batch of objects.readMany(source, { signal })) {
    for (const { object } of batch) {
      const pointer = object && toLfsPointer(object.oid, object.data);
      if (pointer === undefined) continue;
      yield pointer;
      left--;
      if (left === 0) return;
    }
  }
}

/** Yields messages of at most 1 MiB. @throws {GitalyError} INTERNAL for errors without a code. */
async function* messagesOf(
  pointers: AsyncIterable<LfsPointerMessage>,
): AsyncGenerator<{ lfsPointers: LfsPointerMessage[] }> {
  try {
    const chunks = chunkMessages(LFSPointerSchema, pointers, () => MAX_ENCODED_BYTES);
    for await (const lfsPointers of chunks) yield { lfsPointers };
  } catch (error) {
    throw withCode(error, 'INTERNAL');
  }
}

/** The contents, two ids of 64 digits, two numbers of 10 bytes; five tags and three lengths. */
const MAX_ENCODED_BYTES = MAX_LFS_POINTER_BYTES + 2 * 64 + 2 * 10 + 5 + 3 * 2;

/**
 * Sends the LFS pointers among the given objects in the order of the request, one that is named
 * twice twice. Other objects are omitted; a missing object fails the call.
 */
export const getLfsPointers: Handlers['getLFSPointers'] = async function* (request, context, deps) {
  const { objects } = deps.storages.open(request.repository);
  if (request.blobIds.length === 0) throw invalidArgument('empty BlobIds');

  yield* messagesOf(pointersOf(objects, request.blobIds, context.signal));
};

async function* pointersOf(
  objects: ObjectReader,
  ids: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<LfsPointerMessage> {
  const look = (id: string): Promise<Looked> => find(objects, id, signal);
  for await (const { object } of openListed(objects, ids, { look, signal })) {
    const pointer = object?.data && toLfsPointer(object.oid, object.data);
    if (pointer !== undefined) yield pointer;
  }
}

async function find(objects: ObjectReader, id: string, signal: AbortSignal): Promise<Looked> {
  const prefix = `retrieving object info for ${quote(id)}`;
  const info = await objects.info(id, { signal }).catch((error: unknown) => {
    throw codeOf(error) === 'INVALID_ARGUMENT' ? error : wrap(error, prefix);
  });
  if (info === undefined) throw new GitalyError('INTERNAL', `${prefix}: object not found`);
  return { info, isWanted: info.type === 'blob' && info.size <= MAX_LFS_POINTER_BYTES };
}

/**
 * Sends the LFS pointers that are reachable from revisions, each once, at most `limit` (0 means
 * all). A pointer of exactly {@link MAX_LFS_POINTER_BYTES} is too big here, as in Gitaly, where git
 * makes the check.
 */
export const listLfsPointers: Handlers['listLFSPointers'] = async function* (request, context, deps) {
  const repository = deps.storages.open(request.repository, { otherwise: 'INTERNAL' });
  const revisions = await requireRevisions(request.revisions, { allowPathScoped: true });

  const walk = (signal: AbortSignal) =>
    walkObjects(repository, {
      revisions,
      type: 'blob',
      blobsBelowBytes: MAX_LFS_POINTER_BYTES,
      signal,
    });
  const pointers = lfsPointers(repository.objects, walk, { signal: context.signal, limit: request.limit });
  yield* messagesOf(pointers);
};

/**
 * Sends the LFS pointers of the whole object database, including unreachable ones; at most `limit`
 * (0 means all).
 */
export const listAllLfsPointers: Handlers['listAllLFSPointers'] = async function* (request, context, deps) {
  const repository = deps.storages.open(request.repository);

  async function* small(signal: AbortSignal): AsyncGenerator<readonly ObjectInfo[]> {
    for await (const batch of allObjects(repository, { type: 'blob', signal })) {
      yield batch.filter(({ size }) => size <= MAX_LFS_POINTER_BYTES);
    }
  }
  const pointers = lfsPointers(repository.objects, small, { signal: context.signal, limit: request.limit });
  yield* messagesOf(pointers);
};
