import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import type { HandlerContext } from '#rpc/server/handler';
import type { RefExistsRequest, RefExistsResponseSchema } from '#wire/gen/ref_pb';
import type { RefRooms } from './index.ts';

const NAMESPACE = Buffer.from('refs/');

/** Whether a reference of exactly this name exists. A name that git would not allow is one that does not exist. */
export async function refExists(
  request: RefExistsRequest,
  context: HandlerContext,
  rooms: RefRooms,
): Promise<MessageInitShape<typeof RefExistsResponseSchema>> {
  const { refs } = rooms.storages.open(request.repository);
  if (!NAMESPACE.equals(request.ref.subarray(0, NAMESPACE.length))) throw new GitalyError('INVALID_ARGUMENT', 'invalid refname');

  return { value: await refs.exists(request.ref, { signal: context.signal }) };
}
