import { createHash } from 'node:crypto';
import { posix } from 'node:path';

/** Tests of a change that run: the nearest ones, and some of the others, which the seed chooses. */
export const NEAREST = 45;
export const OTHERS = 15;

/**
 * Chooses the tests that are the most likely to notice a fault in a change: those of the fewest
 * imports between and, among them, of the nearest folders. All changed tests are chosen.
 *
 * @param affected the imports between each test and the change (`affectedTests`)
 */
export function nearestTests(
  affected: ReadonlyMap<string, number>,
  changed: readonly string[],
  seed: string,
): Set<string> {
  const ranked = byDistance(affected, changed);
  const count = Math.max(
    NEAREST,
    affected
      .values()
      .filter((imports) => imports === 0)
      .toArray().length,
  );
  const rank = (test: string): string => createHash('sha1').update(`${seed} ${test}`).digest('hex');
  const others = ranked.slice(count).sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
  return new Set([...ranked.slice(0, count), ...others.slice(0, OTHERS)]);
}

/** Returns tests by the imports and folders between them and a change, nearest first. */
export function byDistance(affected: ReadonlyMap<string, number>, changed: readonly string[]): string[] {
  const folders = [...new Set(changed.map((file) => posix.dirname(file)))];
  const distanceOf = (test: string, imports: number): number =>
    imports + Math.min(...folders.map((folder) => stepsBetween(posix.dirname(test), folder)));
  return [...affected]
    .map(([test, imports]) => ({ test, distance: imports === 0 ? 0 : distanceOf(test, imports) }))
    .sort((a, b) => a.distance - b.distance)
    .map(({ test }) => test);
}

/** Returns the steps from one folder up to the common one, and down to the other. */
function stepsBetween(a: string, b: string): number {
  const relative = posix.relative(a, b);
  return relative === '' ? 0 : relative.split('/').length;
}
