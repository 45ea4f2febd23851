import { hasBit } from '#git/bitmap/bitmap-file';
import type { PackRange } from '#git/bitmap/pack-order';
import type { SelectedObjects } from './find-reused-packs.ts';

/** Objects that are looked at: less than half a millisecond. */
const MAX_OBJECTS = 50_000;

/**
 * Returns the next object of a pack that the client has at a path of the same name. As the newest
 * objects are the first, it mostly is an earlier version of the same file.
 *
 * @returns an id; `undefined` if there is none, or no names are known.
 */
export function earlierVersion(
  bit: number,
  { end }: PackRange,
  { bitmap, ofClient, order, packs }: SelectedObjects,
): string | undefined {
  const name = bitmap.nameHash(order.indexes[bit] ?? 0);
  if (ofClient === undefined || name === 0) return undefined;
  for (let next = bit + 1; next < Math.min(end, bit + MAX_OBJECTS); next++)
    if (hasBit(ofClient, next) && bitmap.nameHash(order.indexes[next] ?? 0) === name)
      return packs.oidOf(next, order);
  return undefined;
}
