import assert from 'node:assert/strict';

/**
 * Shortest CPU time that is compared: far above the noise of the timer and the garbage collector.
 */
const ENOUGH_MS = 40;
/** Shortest CPU time of the smallest size that can show linear growth: some ticks of 4 ms. */
const EXACT_MS = 16;
/**
 * Growth from which a time is not linear: 4 for four times the input, and what processor caches
 * add.
 */
const MAX_GROWTH = 9;
/** Measurements of a size in a round. */
const REPEATS = 2;
/** A larger growth is measured again: the processor may be twice as fast at times. */
const SURELY_LINEAR = 6;
/** Rounds of measurements; the least disturbed time of each size counts. */
const ATTEMPTS = 3;
/** A size that takes this long is measured only once in a round. */
const LONG_MS = 1000;

/**
 * Sizes that are tried. An exponential time shows at the first ones. A quadratic time shows later:
 * it takes seconds at the largest size. All are multiples of 8.
 */
const SIZES = [24, 40, 64, 256, 1024, 4096, 16_384, 65_536] as const;

/** CPU times of a function for inputs of `size / 4`, `size / 2` and `size`. */
export interface Growth {
  readonly size: number;
  readonly timesMs: readonly [number, number, number];
}

/**
 * Asserts that the CPU time of a function grows linearly with its input. It increases the size
 * until the time can be measured, and compares that with the times of a half and a quarter of the
 * size. From the quarter on, a quadratic time grows by 16, a linear one by 4.
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
 * Returns the times at a size if they show superlinear growth; `'not measurable'` if they are too
 * short, or if the function has become faster, because it was compiled meanwhile.
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
