import { AsyncLocalStorage } from 'node:async_hooks';
import type { ServerCall, ServerInterceptor } from '#rpc/server/server-call';

const calls = new AsyncLocalStorage<ServerCall>();

/** Makes the call known to whatever it starts, so that the cost of a child process is counted for the call it serves. */
export const rememberCall: ServerInterceptor = (call, next) => calls.run(call, next);

/** The call that is being served here; `undefined` in background jobs. */
export function runningCall(): ServerCall | undefined {
  return calls.getStore();
}
