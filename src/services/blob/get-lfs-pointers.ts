import { codeOf, GitalyError, invalidArgument, withCode, wrap } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import type { ObjectReader } from '#git/objects/object-reader';
import { type Looked, openListed } from '#git/objects/open-listed';
import { MAX_LFS_POINTER_BYTES } from '#git/objects/parse/parse-lfs-pointer';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import type { GetLFSPointersRequest, GetLFSPointersResponseSchema } from '#wire/gen/blob_pb';
import type { BlobDependencies } from './dependencies.ts';
import { chunkPointers, type LfsPointerMessage, toLfsPointer } from './lfs-pointers.ts';

/**
 * Sends the LFS pointers among the given objects in the order of the request, one that is named
 * twice twice. Other objects are omitted; a missing object fails the call.
 */
export async function* getLfsPointers(
  request: GetLFSPointersRequest,
  context: HandlerContext,
  deps: BlobDependencies,
): ResponsesOf<typeof GetLFSPointersResponseSchema> {
  const { objects } = deps.storages.open(request.repository);
  if (request.blobIds.length === 0) throw invalidArgument('empty BlobIds');

  try {
    const pointers = pointersOf(objects, request.blobIds, context.signal);
    for await (const chunk of chunkPointers(pointers)) yield { lfsPointers: chunk };
  } catch (error) {
    throw withCode(error, 'INTERNAL');
  }
}

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
