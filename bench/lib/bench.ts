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

/** Runs the candidates in turn, `rounds` times, and gives the samples of each. */
export async function takeTurns<C extends Readonly<Record<string, (round: number) => Promise<unknown>>>>(
  rounds: number,
  candidates: C,
): Promise<{ [N in keyof C]: Awaited<ReturnType<C[N]>>[] }> {
  const samples = Object.keys(candidates).map((name) => [name, [] as unknown[]] as const);
  for (let round = 0; round < rounds; round++) {
    for (const [name, taken] of samples) taken.push(await candidates[name]?.(round));
  }
  // Each list holds what its candidate resolved to.
  return Object.fromEntries(samples) as { [N in keyof C]: Awaited<ReturnType<C[N]>>[] };
}

/** Milliseconds that something took. */
export async function timed(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}
