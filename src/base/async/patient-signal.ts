import type { LimitedSignal } from './limited-signal.ts';

/** Steps of a timeout. Between two steps is a whole iteration of the event loop. */
const STEPS = 20;

/**
 * Returns a signal that is aborted after a timeout in which this process could receive events.
 * Dispose it when the work is done.
 *
 * A process that does not get the processor, or whose event loop is blocked, receives nothing: what
 * is late may have arrived long ago. The time is therefore counted in steps, each of which ends
 * after an iteration of the event loop, and a delay counts as one step. A process that is not busy
 * waits exactly for the timeout.
 *
 * @param toReason makes the reason of the abort.
 */
export function patientSignal(timeoutMs: number, toReason: () => unknown): LimitedSignal {
  const controller = new AbortController();
  let left = STEPS;
  let timer: NodeJS.Timeout | undefined;
  let turn: NodeJS.Immediate | undefined;
  const startStep = (): void => {
    // Timers that are due together run without an iteration between them.
    timer = setTimeout(() => {
      turn = setImmediate(endStep);
    }, timeoutMs / STEPS);
  };
  const endStep = (): void => {
    if (--left > 0) startStep();
    else controller.abort(toReason());
  };
  startStep();
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      clearImmediate(turn);
    },
  };
}
