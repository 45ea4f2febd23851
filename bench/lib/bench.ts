import type { Workshop } from './workshop.ts';

/** One measurement program. */
export interface Bench {
  /** Name for `--only`. */
  readonly name: string;
  readonly question: string;
  /**
   * Yields each figure as soon as it is known. Compared programs take turns, so that other load
   * slows all of them equally.
   */
  run(workshop: Workshop): AsyncIterable<Measurement>;
}

/** One line of the table. */
export interface Measurement {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** Reference for `value`, in the same unit, measured in the same rounds. */
  readonly reference?: { readonly name: string; readonly value: number };
  readonly goal?: Goal;
  /** Additional figures, such as server CPU. */
  readonly note?: string;
}

/** A limit on the value itself or on its ratio to the reference. */
export interface Goal {
  readonly of: 'value' | 'ratio';
  readonly atMost: number;
}

export function ratioOf({ value, reference }: Measurement): number | undefined {
  return reference === undefined ? undefined : value / reference.value;
}

/** Reports whether a goal is reached; `undefined` if there is none. */
export function isMet(measurement: Measurement): boolean | undefined {
  const { goal, value } = measurement;
  if (goal === undefined) return undefined;
  return (goal.of === 'value' ? value : (ratioOf(measurement) ?? Number.NaN)) <= goal.atMost;
}

/** Returns the median: the lower of the two middle samples of an even number. */
export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}

/** Returns the sample that is larger than this share of the others. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN;
}

/** Runs the candidates in turn, `rounds` times, and returns the samples of each. */
export async function takeTurns<C extends Readonly<Record<string, (round: number) => Promise<unknown>>>>(
  rounds: number,
  candidates: C,
): Promise<{ [N in keyof C]: Awaited<ReturnType<C[N]>>[] }> {
  const samples = Object.keys(candidates).map((name) => [name, [] as unknown[]] as const);
  for (let round = 0; round < rounds; round++) {
    for (const [name, taken] of samples) taken.push(await candidates[name]?.(round));
  }
  // Each list holds the results of its candidate.
  return Object.fromEntries(samples) as { [N in keyof C]: Awaited<ReturnType<C[N]>>[] };
}

/** Returns the milliseconds of an operation. */
export async function timed(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}
