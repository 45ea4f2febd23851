import { shuffled } from '#base/shuffled';
import { seededRandom } from './repositories/random-history.ts';
import { isSoak, soakShare } from './soak.ts';
import { testSeed } from './test-seed.ts';

interface Shares {
  /** In `make test`. */
  readonly short: number;
  /** In a soak of the usual length; a longer one tries more. */
  readonly long: number;
}

/**
 * Returns the part of a sweep that a run tries, in the same order. The seed of the run chooses it,
 * so that each run tries other items. The soak tries all items, unless `shares` names a smaller
 * share.
 *
 * @param shares above 0; at least one item is tried.
 */
export function seededShare<T>(items: readonly T[], shares: number | Shares, seed = testSeed()): T[] {
  const { short, long } = typeof shares === 'number' ? { short: shares, long: 1 } : shares;
  const count = Math.ceil(items.length * (isSoak ? soakShare(long) : short));
  const chosen = shuffled([...items.keys()], seededRandom(seed)).slice(0, count);
  return chosen.sort((a, b) => a - b).flatMap((index) => items.slice(index, index + 1));
}
