/** The longest time of a timer, 24 days. Node ends a longer one after 1 ms. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Returns a time, of a configuration or a client, as timers take it: a whole number of
 * milliseconds, rounded up, and at most {@link MAX_TIMER_MS}. `AbortSignal.timeout` refuses
 * fractions.
 */
export function timerMs(ms: number): number {
  return Math.min(Math.ceil(ms), MAX_TIMER_MS);
}
