import { customHookErrorOf } from '#domain/hooks/run-custom-hooks';
import type { HandlerContext } from '#rpc/server/handler';
import type { UpdateHookRequest } from '#wire/gen/hook_pb';
import { streamResponses } from '../convert/stream-responses.ts';
import { type HookResponse, hookCallOf } from './hook-call.ts';
import type { HookRooms } from './index.ts';

/** May this reference change? A script's refusal is its exit status, anything else an error of the call. */
export async function* updateHook(
  request: UpdateHookRequest,
  context: HandlerContext,
  rooms: HookRooms,
): AsyncGenerator<HookResponse> {
  const repository = rooms.storages.open(request.repository);
  const { ref, oldValue, newValue } = request;

  yield* streamResponses<HookResponse>(context.signal, async (respond, signal) => {
    let status = 0;
    try {
      const call = hookCallOf({ repository, request, respond, signal }, context);
      await rooms.hooks.update(call, { reference: Buffer.from(ref), oldValue, newValue });
    } catch (error) {
      const script = customHookErrorOf(error);
      if (script === undefined) throw error;
      status = script.exitCode;
    }
    await respond({ exitStatus: { value: status } });
  });
}
