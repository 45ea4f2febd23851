import { FallBackToGit } from '../command/in-process.ts';
import type { Pause } from './pack-order.ts';

/** Limit of the offsets; a number holds one of them and one of these. */
const MAX_INDEXES = 2 ** 21;
const MAX_OFFSET = 2 ** 32;
/** Offsets that are sorted at once, on average: 1 ms. */
const PER_GROUP = 8192;

/** Number of iterations of loops that take some nanoseconds each. */
const ITEMS_PER_LOOK = 65_536;

/**
 * Returns the positions of offsets in their order, as git's reverse index has them: 32 bits each.
 *
 * @throws {FallBackToGit} beyond 4 GiB or two million; what `pause` throws.
 */
export async function sortOffsets(offsets: Float64Array, pause: Pause): Promise<Buffer> {
  const count = offsets.length;
  let largest = 0;
  await inPieces(count, pause, (index) => {
    largest = Math.max(largest, offsets[index] ?? 0);
  });
  if (count > MAX_INDEXES || largest >= MAX_OFFSET) throw new FallBackToGit('a pack is large');
  const keys = new Float64Array(count);
  let start = 0;
  for (const end of await placeInGroups(offsets, largest, { keys, pause })) {
    await pause();
    keys.subarray(start, end).sort();
    start = end;
  }
  const order = Buffer.allocUnsafe(count * 4);
  await inPieces(count, pause, (at) => void order.writeUInt32BE((keys[at] ?? 0) % MAX_INDEXES, at * 4));
  return order;
}

/** Writes the offsets with their positions, those of each range together. @returns the ends of the ranges. */
async function placeInGroups(
  offsets: Float64Array,
  largest: number,
  { keys, pause }: { readonly keys: Float64Array; readonly pause: Pause },
): Promise<Uint32Array> {
  const count = offsets.length;
  const groups = Math.max(1, Math.ceil(count / PER_GROUP));
  const width = Math.floor(largest / groups) + 1;
  const next = new Uint32Array(groups);
  const groupOf = (offset: number): number => Math.floor(offset / width);
  await inPieces(count, pause, (index) => {
    const group = groupOf(offsets[index] ?? 0) + 1;
    if (group < groups) next[group] = (next[group] ?? 0) + 1;
  });
  for (let group = 1; group < groups; group++) next[group] = (next[group] ?? 0) + (next[group - 1] ?? 0);
  await inPieces(count, pause, (index) => {
    const offset = offsets[index] ?? 0;
    const group = groupOf(offset);
    const at = next[group] ?? 0;
    keys[at] = offset * MAX_INDEXES + index;
    next[group] = at + 1;
  });
  return next;
}

async function inPieces(count: number, pause: Pause, handle: (index: number) => void): Promise<void> {
  for (let start = 0; start < count; start += ITEMS_PER_LOOK) {
    await pause();
    for (let index = start; index < Math.min(count, start + ITEMS_PER_LOOK); index++) handle(index);
  }
}
