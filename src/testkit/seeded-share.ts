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
 * Returns what a run tries of a sweep, in the same order: a share that the seed of the run chooses,
 * so that each run tries other items. The soak tries all, unless `shares` names less.
 *
 * @param shares above 0; at least one item is tried.
 */
export function seededShare<T>(items: readonly T[], shares: number | Shares, seed = testSeed()): T[] {
  const { short, long } = typeof shares === 'number' ? { short: shares, long: 1 } : shares;
  const count = Math.ceil(items.length * (isSoak ? soakShare(long) : short));
  const chosen = shuffled([...items.keys()], seededRandom(seed)).slice(0, count);
  return chosen.sort((a, b) => a - b).flatMap((index) => items.slice(index, index + 1));
}
