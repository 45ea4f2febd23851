import { timerMs } from '#base/async/timer-ms';

/** Work that is repeated at intervals. */
export interface Periodic extends AsyncDisposable {
  /** Makes the work run within a time, if it is not due before. */
  within(delayMs: number): void;
}

/**
 * Repeats work, each time an interval after its end. Disposing waits for work that runs.
 *
 * @param work must not reject.
 */
export function periodic(
  work: (signal: AbortSignal) => Promise<void>,
  { intervalMs, startsAtOnce = false }: { intervalMs: number; startsAtOnce?: boolean },
): Periodic {
  const stopping = new AbortController();
  let running: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  let dueMs = 0;
  let nextMs = intervalMs;
  const run = (): void => {
    timer = undefined;
    nextMs = intervalMs;
    running = work(stopping.signal).finally(() => plan(nextMs));
  };
  const plan = (delayMs: number): void => {
    if (stopping.signal.aborted) return;
    clearTimeout(timer);
    dueMs = performance.now() + delayMs;
    timer = setTimeout(run, timerMs(delayMs)).unref();
  };
  plan(startsAtOnce ? 0 : intervalMs);
  return {
    within: (delayMs) => {
      if (timer === undefined) nextMs = Math.min(nextMs, delayMs);
      else if (performance.now() + delayMs < dueMs) plan(delayMs);
    },
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      clearTimeout(timer);
      await running;
    },
  };
}
