import { AsyncLocalStorage } from 'node:async_hooks';
import type { ServerCall, ServerInterceptor } from '#rpc/server/server-call';

/** A call that is being served. */
export interface RunningCall {
  readonly call: ServerCall;
  /** Set from its first process on: its turn to run processes, see `GitCalls`. */
  gitSlot: Promise<() => void> | undefined;
}

const calls = new AsyncLocalStorage<RunningCall>();

/**
 * Runs a call in an asynchronous context, so that the cost of a child process is counted for its
 * call.
 */
export const rememberCall: ServerInterceptor = (call, next) => calls.run({ call, gitSlot: undefined }, next);

/** Returns the call that is being served; `undefined` in background jobs. */
export function runningCall(): ServerCall | undefined {
  return calls.getStore()?.call;
}

/** Returns the same with what is kept for it. */
export function runningCallState(): RunningCall | undefined {
  return calls.getStore();
}
