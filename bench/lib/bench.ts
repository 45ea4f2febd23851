import type { Workshop } from './workshop.ts';

/** One question to measure. */
export interface Bench {
  /** What `--only` takes. */
  readonly name: string;
  readonly question: string;
  /** Yields each figure as soon as it is known. Rounds of what is compared take turns, so that a busy machine slows all alike. */
  run(workshop: Workshop): AsyncIterable<Measurement>;
}

/** One line of the table. */
export interface Measurement {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What `value` is compared with, in the same unit, measured in the same rounds. */
  readonly reference?: { readonly name: string; readonly value: number };
  readonly goal?: Goal;
  /** Server CPU and the like, for the reader. */
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

/** Whether a goal is reached; `undefined` where there is none. */
export function isMet(measurement: Measurement): boolean | undefined {
  const { goal, value } = measurement;
  if (goal === undefined) return undefined;
  return (goal.of === 'value' ? value : (ratioOf(measurement) ?? Number.NaN)) <= goal.atMost;
}

/** The middle of the samples; the lower of the two middle ones of an even number. */
export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}

/** The sample below which this share of the others lies. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN;
}

/** Runs the candidates in turn, `rounds` times, and gives each one's samples in the order of the candidates. */
export async function takeTurns<const N extends string, T>(
  rounds: number,
  candidates: Readonly<Record<N, (round: number) => Promise<T>>>,
): Promise<Record<N, T[]>> {
  // The keys of `candidates`, which are of type N.
  const names = Object.keys(candidates) as N[];
  const samples = Object.fromEntries(names.map((name) => [name, [] as T[]])) as Record<N, T[]>;
  for (let round = 0; round < rounds; round++) {
    for (const name of names) samples[name].push(await candidates[name](round));
  }
  return samples;
}

/** Milliseconds that something took. */
export async function timed(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}
