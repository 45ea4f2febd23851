import { AsyncLocalStorage } from 'node:async_hooks';
import type { Turn } from '#base/limits/limit';
import type { CallStage, ServerCall, ServerInterceptor } from '#rpc/server/server-call';

const calls = new AsyncLocalStorage<RunningCall>();
const NOT_COUNTED = Promise.resolve({ release: () => {} });

/** A call that is being served. */
export class RunningCall implements CallStage {
  readonly call: ServerCall;
  /** Set from its first process on: its turn to run processes, see `GitCalls`. */
  gitSlot: Promise<Pick<Turn, 'release'>> | undefined;

  constructor(call: ServerCall) {
    this.call = call;
  }

  within(run: () => void): void {
    calls.run(this, run);
  }

  end(): void {
    this.gitSlot?.then(
      ({ release }) => release(),
      () => {}, // it never got one
    );
    // What it still starts, to clean up, is not counted.
    this.gitSlot = NOT_COUNTED;
  }
}

/**
 * Runs a call in an asynchronous context, so that the cost of a child process is counted for its
 * call.
 */
export const rememberCall: ServerInterceptor = (call) => new RunningCall(call);

/** Returns the call that is being served; `undefined` in background jobs. */
export function runningCall(): ServerCall | undefined {
  return calls.getStore()?.call;
}

/** Returns the call with the data that is kept for it. */
export function runningCallState(): RunningCall | undefined {
  return calls.getStore();
}
