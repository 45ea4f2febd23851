import { GitalyError, wrap } from '#base/gitaly-error';
import type { ObjectReader } from '#git/objects/object-reader';
import { parseTagInTurns } from '#git/objects/parse/parse-tag';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import { MAX_CHUNK_BYTES } from '#services/convert/response/stream-responses';
import type { GetTagMessagesRequest, GetTagMessagesResponseSchema } from '#wire/gen/ref_pb';
import type { RefDependencies } from '../dependencies.ts';

/**
 * Sends the messages of tag objects, whole and as they are: for each its id as it was requested,
 * then its text in pieces.
 */
export async function* getTagMessages(
  request: GetTagMessagesRequest,
  { signal }: HandlerContext,
  deps: RefDependencies,
): ResponsesOf<typeof GetTagMessagesResponseSchema> {
  const { objects } = deps.storages.open(request.repository);

  for (const tagId of request.tagIds) {
    const message = await readMessage(objects, tagId, signal);
    yield { tagId };
    for (let start = 0; start < message.length; start += MAX_CHUNK_BYTES) {
      yield { message: message.subarray(start, start + MAX_CHUNK_BYTES) };
    }
  }
}

async function readMessage(objects: ObjectReader, revision: string, signal: AbortSignal): Promise<Buffer> {
  try {
    const object = await objects.openObject(revision, { signal });
    if (object === undefined) throw new GitalyError('UNKNOWN', 'object not found');
    if (object.type !== 'tag') {
      if (object.data === undefined) object.stream.destroy();
      throw new GitalyError('UNKNOWN', `expected tag, got ${object.type}`);
    }
    const data = object.data ?? Buffer.concat(await Array.fromAsync(object.stream));
    return (await parseTagInTurns(object.oid, data)).message;
  } catch (error) {
    throw wrap(error, 'getting tag');
  }
}
