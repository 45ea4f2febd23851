import { customHookErrorOf } from '#domain/hooks/run-custom-hooks';
import type { HandlerContext } from '#rpc/server/handler';
import { streamResponses } from '#services/convert/response/stream-responses';
import type { UpdateHookRequest } from '#wire/gen/hook_pb';
import type { HookDependencies } from './dependencies.ts';
import { type HookResponse, hookCallOf } from './hook-call.ts';

/**
 * Decides on the change of one reference. A script's refusal is its exit status; anything else is
 * an error of the call.
 */
export async function* updateHook(
  request: UpdateHookRequest,
  context: HandlerContext,
  deps: HookDependencies,
): AsyncGenerator<HookResponse> {
  const repository = deps.storages.open(request.repository);
  const { ref, oldValue, newValue } = request;

  yield* streamResponses<HookResponse>(context.signal, async (respond, signal) => {
    let status = 0;
    try {
      const call = hookCallOf({ repository, request, respond, signal }, context);
      await deps.hooks.update(call, { reference: Buffer.from(ref), oldValue, newValue });
    } catch (error) {
      const script = customHookErrorOf(error);
      if (script === undefined) throw error;
      status = script.exitCode;
    }
    await respond({ exitStatus: { value: status } });
  });
}
