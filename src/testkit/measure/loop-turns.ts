/** Counts the iterations of the event loop from now on, until the result is disposed. */
export function countTurns(): { readonly count: number } & Disposable {
  let count = 0;
  const next = (): void => {
    count++;
    timer = setImmediate(next);
  };
  let timer = setImmediate(next);
  return {
    get count() {
      return count;
    },
    [Symbol.dispose]: () => clearImmediate(timer),
  };
}

/** Blocks the event loop for a time. */
export function blockFor(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/**
 * Measures the longest block of the event loop, until the result is disposed, in CPU time of this
 * thread: other processes of a busy machine do not count.
 */
export function watchBlocks(): { readonly cpuMs: number; reset(): void } & Disposable {
  let longestMs = 0;
  let before = process.threadCpuUsage();
  const timer = setInterval(() => {
    const { user, system } = process.threadCpuUsage(before);
    before = process.threadCpuUsage();
    longestMs = Math.max(longestMs, (user + system) / 1000);
  }, 1).unref();
  return {
    get cpuMs() {
      return longestMs;
    },
    reset() {
      longestMs = 0;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}
