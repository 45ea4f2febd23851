import { shuffled } from '#base/shuffled';
import { seededRandom } from './repositories/random-history.ts';
import { isSoak } from './soak.ts';
import { testSeed } from './test-seed.ts';

/**
 * Returns what a run tries of a sweep, in the same order: in `npm test` a share that the seed of
 * the run chooses, so that each run tries other items; in the soak all of them.
 *
 * @param share above 0; at least one item is tried.
 */
export function seededShare<T>(items: readonly T[], share: number, seed = testSeed()): T[] {
  if (isSoak) return [...items];
  const chosen = shuffled([...items.keys()], seededRandom(seed)).slice(0, Math.ceil(items.length * share));
  return chosen.sort((a, b) => a - b).flatMap((index) => items.slice(index, index + 1));
}
