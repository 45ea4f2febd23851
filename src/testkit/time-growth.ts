import assert from 'node:assert/strict';

/** CPU time from which a size counts: far above the timer's and the collector's noise. */
const ENOUGH_MS = 40;
/** Growth of a linear time for four times the input, and what caches of the processor add. */
const MAX_GROWTH = 9;
/** Measurements of one size; the least disturbed one counts. */
const REPEATS = 3;
/** A growth that is too large is measured again, as often as this: noise goes away. */
const ATTEMPTS = 3;
/** A size that takes as long is not measured again. */
const LONG_MS = 1000;

/**
 * Sizes that are tried: an exponential time shows at the first ones, a quadratic one later: it
 * is seconds at the largest size. All are multiples of 8.
 */
const SIZES = [24, 40, 64, 256, 1024, 4096, 16_384, 65_536] as const;

/** CPU times of a function for inputs of `size / 4`, `size / 2` and `size`. */
export interface Growth {
  readonly size: number;
  readonly timesMs: readonly [number, number, number];
}

/**
 * Asserts that the CPU time of a function grows linearly with its input. It takes larger sizes
 * until the time can be measured, and compares that with a half and a quarter of the size. A
 * quadratic time grows by 16 there, a linear one by 4.
 */
export async function assertLinearTime(run: (size: number) => unknown): Promise<void> {
  const growth = await superlinearGrowth(run);
  if (growth === undefined) return;
  const { size, timesMs } = growth;
  const shown = timesMs.map((ms) => ms.toFixed(1)).join(', ');
  assert.fail(`CPU time for sizes ${size / 4}, ${size / 2}, ${size}: ${shown} ms`);
}

/** Returns the times of a function if they grow faster than its input; else `undefined`. */
export async function superlinearGrowth(run: (size: number) => unknown): Promise<Growth | undefined> {
  for (const size of SIZES) {
    if ((await leastCpuMs(run, size)) < ENOUGH_MS) continue;
    const growth = await growthAt(run, size);
    if (growth !== 'not measurable') return growth;
  }
  return undefined;
}

/** Returns `'not measurable'` if the function is faster than before: it has been compiled meanwhile. */
async function growthAt(
  run: (size: number) => unknown,
  size: number,
): Promise<Growth | 'not measurable' | undefined> {
  let timesMs: readonly [number, number, number] = [0, 0, 0];
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    timesMs = [await leastCpuMs(run, size / 4), await leastCpuMs(run, size / 2), await leastCpuMs(run, size)];
    if (timesMs[2] < ENOUGH_MS) return 'not measurable';
    if (timesMs[2] < MAX_GROWTH * timesMs[0]) return undefined;
  }
  return { size, timesMs };
}

async function leastCpuMs(run: (size: number) => unknown, size: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let count = 0; count < REPEATS && least >= ENOUGH_MS; count++) {
    const before = process.threadCpuUsage();
    await run(size);
    const { user, system } = process.threadCpuUsage(before);
    least = Math.min(least, (user + system) / 1000);
    if (least > LONG_MS) break;
  }
  return least;
}
