import { GitalyError } from '#base/gitaly-error';
import type { HandlerContext } from '#rpc/server/handler';
import type { PostReceiveHookRequest } from '#wire/gen/hook_pb';
import { openRequests } from '../convert/first-request.ts';
import { streamResponses } from '../convert/stream-responses.ts';
import { type HookResponse, hookCallOf, readInput, respondFailure } from './hook-call.ts';
import type { HookRooms } from './index.ts';

/** These references have changed. */
export async function* postReceiveHook(
  requests: AsyncIterable<PostReceiveHookRequest>,
  context: HandlerContext,
  rooms: HookRooms,
): AsyncGenerator<HookResponse> {
  const { first: request, rest } = await openRequests(requests);
  if (request === undefined) throw new GitalyError('INTERNAL', 'EOF');
  const repository = rooms.storages.open(request.repository);

  yield* streamResponses<HookResponse>(context.signal, async (respond, signal) => {
    try {
      await rooms.hooks.postReceive(hookCallOf({ repository, request, respond, signal }, context), await readInput(rest));
    } catch (error) {
      return await respondFailure(error, respond);
    }
    await respond({ exitStatus: { value: 0 } });
  });
}
