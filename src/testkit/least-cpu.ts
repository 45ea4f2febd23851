/** Measurements are repeated at most this long: a machine may be slow for seconds. */
const MAX_ATTEMPTS_MS = 10_000;
/** Measurements that are made at least when all are above the limit. */
const MIN_ATTEMPTS = 15;

/**
 * Returns the least CPU time of a synchronous function in milliseconds. It runs again until one run
 * takes less than `limitMs`, for at most 10 s: the first runs may be interpreted, and CPU time
 * grows when other processes share the processor.
 */
export function leastCpuMs(run: () => unknown, limitMs: number): number {
  const endMs = performance.now() + MAX_ATTEMPTS_MS;
  let least = Number.POSITIVE_INFINITY;
  for (let count = 0; least >= limitMs && (count < MIN_ATTEMPTS || performance.now() < endMs); count++) {
    const before = process.threadCpuUsage();
    run();
    const { user, system } = process.threadCpuUsage(before);
    least = Math.min(least, (user + system) / 1000);
  }
  return least;
}
