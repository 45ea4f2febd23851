const TICK_MS = 100;

/**
 * Calls a function after a time in which this program ran. While the machine or all processes are
 * stopped, so are the tests: that time is not counted.
 *
 * @returns a function that ends the wait.
 */
export function afterRunning(ms: number, call: () => void): () => void {
  let ticks = Math.ceil(ms / TICK_MS);
  // After a stop of any length, an interval is due only once.
  const timer = setInterval(() => {
    if (--ticks > 0) return;
    clearInterval(timer);
    call();
  }, TICK_MS);
  return () => clearInterval(timer);
}
