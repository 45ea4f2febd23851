import { LoopSlice } from './loop-turns.ts';

/** Items that are sorted at once. */
const RUN_ITEMS = 256;

/**
 * Returns the items in order, as `toSorted` does, in slices of the event loop. Equal items keep
 * their order.
 *
 * @throws the reason of the signal.
 */
export async function sortInTurns<T extends NonNullable<unknown>>(
  items: readonly T[],
  compare: (one: T, other: T) => number,
  signal?: AbortSignal,
): Promise<readonly T[]> {
  const slice = new LoopSlice();
  let runs: (readonly T[])[] = [];
  for (let start = 0; start < items.length; start += RUN_ITEMS) {
    runs.push(items.slice(start, start + RUN_ITEMS).sort(compare));
    if (start + RUN_ITEMS < items.length) await slice.pause(signal);
  }
  while (runs.length > 1) {
    const merged: (readonly T[])[] = [];
    for (let index = 0; index < runs.length; index += 2)
      merged.push(await merge(runs[index] ?? [], runs[index + 1] ?? [], { compare, slice, signal }));
    runs = merged;
  }
  return runs[0] ?? [];
}

interface Merging<T> {
  readonly compare: (one: T, other: T) => number;
  readonly slice: LoopSlice;
  readonly signal: AbortSignal | undefined;
}

async function merge<T extends NonNullable<unknown>>(
  first: readonly T[],
  second: readonly T[],
  { compare, slice, signal }: Merging<T>,
): Promise<readonly T[]> {
  if (second.length === 0) return first;
  const merged: T[] = [];
  for (let one = 0, other = 0; one < first.length || other < second.length; ) {
    const [left, right] = [first[one], second[other]];
    const takesLeft = right === undefined || (left !== undefined && compare(left, right) <= 0);
    const next = takesLeft ? left : right;
    if (next === undefined) break;
    if (takesLeft) one++;
    else other++;
    merged.push(next);
    if (slice.isOverAfterItem()) await slice.pause(signal);
  }
  return merged;
}
