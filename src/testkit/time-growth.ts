import assert from 'node:assert/strict';

/** CPU time from which a size counts: far above the timer's and the collector's noise. */
const ENOUGH_MS = 40;
/** CPU time of the smallest size from which it shows linear growth: some ticks of 4 ms. */
const EXACT_MS = 16;
/** Growth of a linear time for four times the input, and what caches of the processor add. */
const MAX_GROWTH = 9;
/** Measurements of a size in a round. */
const REPEATS = 2;
/** A growth from which on all is measured again: the processor may be twice as fast at times. */
const SURELY_LINEAR = 6;
/** Rounds of measurements; the least disturbed time of each size counts. */
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
    if ((await cpuMs(run, size)) < ENOUGH_MS) continue;
    const growth = await growthAt(run, size);
    if (growth !== 'not measurable') return growth;
  }
  return undefined;
}

/**
 * Returns `'not measurable'` if the times are too short to tell, and if the function is faster than
 * before: it has been compiled meanwhile.
 */
async function growthAt(
  run: (size: number) => unknown,
  size: number,
): Promise<Growth | 'not measurable' | undefined> {
  let timesMs: Growth['timesMs'] = [
    Number.POSITIVE_INFINITY,
    Number.POSITIVE_INFINITY,
    Number.POSITIVE_INFINITY,
  ];
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const [quarter, half, whole] = timesMs;
    timesMs = [
      Math.min(quarter, await leastCpuMs(run, size / 4)),
      Math.min(half, await leastCpuMs(run, size / 2)),
      Math.min(whole, await leastCpuMs(run, size)),
    ];
    if (timesMs[2] < ENOUGH_MS) return 'not measurable';
    if (timesMs[2] < SURELY_LINEAR * timesMs[0]) break;
  }
  if (timesMs[2] >= MAX_GROWTH * timesMs[0]) return { size, timesMs };
  return timesMs[0] < EXACT_MS ? 'not measurable' : undefined;
}

/** Returns the least CPU time of some runs: the first ones may be interpreted, or compile the code. */
async function leastCpuMs(run: (size: number) => unknown, size: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let count = 0; count < REPEATS && (count === 0 || least < LONG_MS); count++)
    least = Math.min(least, await cpuMs(run, size));
  return least;
}

async function cpuMs(run: (size: number) => unknown, size: number): Promise<number> {
  const before = process.threadCpuUsage();
  await run(size);
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1000;
}
