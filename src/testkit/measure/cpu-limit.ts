import assert from 'node:assert/strict';
import { machineSlowness } from './machine-slowness.ts';

/** Measurements are repeated at most this long: a machine may be slow for seconds. */
const MAX_ATTEMPTS_MS = 10_000;
/** Measurements between two looks at the slowness of the machine. */
const ATTEMPTS = 15;
/** A function that takes this long is run less often. */
const LONG_MS = 1000;

/**
 * Asserts that a function takes less CPU time than `limitMs`. It runs again until one run does, for
 * at most 10 s: the first runs may be interpreted, and CPU time grows when other processes share
 * the processor. The limit grows with the slowness of the machine.
 *
 * @param message is the begin of the error's message.
 */
export async function assertCpuBelow(
  limitMs: number,
  run: () => unknown,
  message = 'too slow',
): Promise<void> {
  const endMs = performance.now() + MAX_ATTEMPTS_MS;
  for (let leastMs = Number.POSITIVE_INFINITY; ; ) {
    leastMs = Math.min(leastMs, await leastCpuMs(run, { limitMs, endMs }));
    if (leastMs < limitMs) return;
    const slowness = machineSlowness();
    if (leastMs < limitMs * slowness) return;
    if (performance.now() < endMs) continue;
    assert.fail(`${message}: ${leastMs} ms of CPU time, a machine slower by ${slowness.toFixed(2)}`);
  }
}

/** Returns the least CPU time of some runs, up to the first one below the limit. */
async function leastCpuMs(
  run: () => unknown,
  { limitMs, endMs }: { readonly limitMs: number; readonly endMs: number },
): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let count = 0; count < ATTEMPTS && least >= limitMs; count++) {
    if (performance.now() >= endMs && least >= LONG_MS && count > 0) break;
    const before = process.threadCpuUsage();
    await run();
    const { user, system } = process.threadCpuUsage(before);
    least = Math.min(least, (user + system) / 1000);
  }
  return least;
}
