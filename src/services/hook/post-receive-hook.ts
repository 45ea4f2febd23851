import { GitalyError } from '#base/gitaly-error';
import type { HandlerContext } from '#rpc/server/handler';
import { openRequests } from '#services/convert/request/first-request';
import { streamResponses } from '#services/convert/response/stream-responses';
import type { PostReceiveHookRequest } from '#wire/gen/hook_pb';
import type { HookDependencies } from './dependencies.ts';
import { type HookResponse, hookCallOf, readInput, respondFailure } from './hook-call.ts';

/** Handles the changes of references that a push has made. */
export async function* postReceiveHook(
  requests: AsyncIterable<PostReceiveHookRequest>,
  context: HandlerContext,
  deps: HookDependencies,
): AsyncGenerator<HookResponse> {
  const { first: request, rest } = await openRequests(requests);
  if (request === undefined) throw new GitalyError('INTERNAL', 'EOF');
  const repository = deps.storages.open(request.repository);

  yield* streamResponses<HookResponse>(context.signal, async (respond, signal) => {
    try {
      await deps.hooks.postReceive(
        hookCallOf({ repository, request, respond, signal }, context),
        await readInput(rest),
      );
    } catch (error) {
      return await respondFailure(error, respond);
    }
    await respond({ exitStatus: { value: 0 } });
  });
}
