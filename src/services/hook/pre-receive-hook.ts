import { GitalyError, messageOf } from '#base/gitaly-error';
import { isRateLimited } from '#domain/gitlab-api/internal-api';
import type { HandlerContext } from '#rpc/server/handler';
import type { PreReceiveHookRequest } from '#wire/gen/hook_pb';
import { openRequests } from '../convert/first-request.ts';
import { streamResponses } from '../convert/stream-responses.ts';
import { type HookResponse, hookCallOf, readInput, respondFailure } from './hook-call.ts';
import type { HookRooms } from './index.ts';

/** May these references change? A refusal is an exit status; only an API that wants to be left alone is an error of the call. */
export async function* preReceiveHook(
  requests: AsyncIterable<PreReceiveHookRequest>,
  context: HandlerContext,
  rooms: HookRooms,
): AsyncGenerator<HookResponse> {
  const { first: request, rest } = await openRequests(requests);
  if (request === undefined) throw new GitalyError('INTERNAL', 'receiving first request: EOF');
  const repository = rooms.storages.open(request.repository);

  yield* streamResponses<HookResponse>(context.signal, async (respond, signal) => {
    try {
      await rooms.hooks.preReceive(hookCallOf({ repository, request, respond, signal }, context), await readInput(rest));
    } catch (error) {
      if (isRateLimited(error)) throw new GitalyError('RESOURCE_EXHAUSTED', messageOf(error), { cause: error });
      return await respondFailure(error, respond);
    }
    await respond({ exitStatus: { value: 0 } });
  });
}
