/**
 * Returns the time until a moment in whole milliseconds, for a timer: 0 if it has passed. Timers
 * warn of negative delays, and cut fractions of a millisecond off.
 *
 * @param nowMs the time of the same clock; by default that of `performance.now()`.
 */
export function timeLeftMs(untilMs: number, nowMs: number = performance.now()): number {
  return Math.max(0, Math.ceil(untilMs - nowMs));
}
