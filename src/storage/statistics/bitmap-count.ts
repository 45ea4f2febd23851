import { withAlternates } from '#git/repository-files/alternates-file';
import type { DirectoryMemory } from './directory-memory.ts';
import { entriesOf } from './directory-size.ts';

const PACK = /^(pack-[0-9a-f]{40}(?:[0-9a-f]{24})?)\.pack$/;

export interface BitmapCount {
  readonly packs: number;
  /** Number of bitmaps that belong to single packs. */
  readonly bitmaps: number;
}

/**
 * Counts the packs of a repository and of its alternates, and their bitmaps.
 *
 * @param counts Remembers those of directories that have not changed since.
 */
export async function countBitmaps(
  repositoryPath: string,
  counts?: DirectoryMemory<BitmapCount>,
): Promise<BitmapCount> {
  let [packs, bitmaps] = [0, 0];
  for (const directory of withAlternates([`${repositoryPath}/objects`])) {
    const count = await countIn(`${directory}/pack`, counts);
    packs += count.packs;
    bitmaps += count.bitmaps;
  }
  return { packs, bitmaps };
}

async function countIn(directory: string, counts?: DirectoryMemory<BitmapCount>): Promise<BitmapCount> {
  const known = counts?.look(directory);
  if (typeof known === 'object') return known;
  const entries = await entriesOf(directory);
  const names = new Set(Array.from(entries, ({ name }) => name));
  const packs = [...names].flatMap((name) => PACK.exec(name)?.[1] ?? []);
  const count = { packs: packs.length, bitmaps: packs.filter((pack) => names.has(`${pack}.bitmap`)).length };
  known?.(count, entries);
  return count;
}
