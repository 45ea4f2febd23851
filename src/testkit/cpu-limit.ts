import assert from 'node:assert/strict';
import { machineSlowness } from './machine-slowness.ts';

/** Measurements are repeated at most this long: a machine may be slow for seconds. */
const MAX_ATTEMPTS_MS = 10_000;
/** Measurements that are made at least when all are above the limit. */
const MIN_ATTEMPTS = 15;
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
  const leastMs = await leastCpuMs(run, limitMs);
  if (leastMs < limitMs) return;
  const slowness = machineSlowness();
  const shown = `${leastMs} ms of CPU time, a machine slower by ${slowness.toFixed(2)}`;
  assert.ok(leastMs < limitMs * slowness, `${message}: ${shown}`);
}

async function leastCpuMs(run: () => unknown, limitMs: number): Promise<number> {
  const endMs = performance.now() + MAX_ATTEMPTS_MS;
  let least = Number.POSITIVE_INFINITY;
  for (let count = 0; least >= limitMs; count++) {
    if (performance.now() >= endMs && (count >= MIN_ATTEMPTS || least >= LONG_MS)) break;
    const before = process.threadCpuUsage();
    await run();
    const { user, system } = process.threadCpuUsage(before);
    least = Math.min(least, (user + system) / 1000);
  }
  return least;
}
