import { GitalyError, messageOf } from '#base/gitaly-error';
import { isRateLimited } from '#domain/gitlab-api/internal-api';
import type { HandlerContext } from '#rpc/server/handler';
import { openRequests } from '#services/convert/request/first-request';
import { streamResponses } from '#services/convert/response/stream-responses';
import type { PreReceiveHookRequest } from '#wire/gen/hook_pb';
import type { HookDependencies } from './dependencies.ts';
import { type HookResponse, hookCallOf, readInput, respondFailure } from './hook-call.ts';

/**
 * Decides on the changes of references of a push. A refusal is an exit status; only a rate limit of
 * the API is an error of the call.
 */
export async function* preReceiveHook(
  requests: AsyncIterable<PreReceiveHookRequest>,
  context: HandlerContext,
  deps: HookDependencies,
): AsyncGenerator<HookResponse> {
  const { first: request, rest } = await openRequests(requests);
  if (request === undefined) throw new GitalyError('INTERNAL', 'receiving first request: EOF');
  const repository = deps.storages.open(request.repository);

  yield* streamResponses<HookResponse>(context.signal, async (respond, signal) => {
    try {
      await deps.hooks.preReceive(
        hookCallOf({ repository, request, respond, signal }, context),
        await readInput(rest),
      );
    } catch (error) {
      if (isRateLimited(error))
        throw new GitalyError('RESOURCE_EXHAUSTED', messageOf(error), { cause: error });
      return await respondFailure(error, respond);
    }
    await respond({ exitStatus: { value: 0 } });
  });
}
