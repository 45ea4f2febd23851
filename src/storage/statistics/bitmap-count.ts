import { withAlternates } from '#git/repository-files/alternates-file';
import { entriesOf } from './directory-size.ts';

const PACK = /^(pack-[0-9a-f]{40}(?:[0-9a-f]{24})?)\.pack$/;

export interface BitmapCount {
  readonly packs: number;
  /** Number of bitmaps that belong to single packs. */
  readonly bitmaps: number;
}

/** Counts the packs of a repository and of its alternates, and their bitmaps. */
export async function countBitmaps(repositoryPath: string): Promise<BitmapCount> {
  let [packs, bitmaps] = [0, 0];
  for (const directory of withAlternates([`${repositoryPath}/objects`])) {
    const names = new Set(Array.from(await entriesOf(`${directory}/pack`), ({ name }) => name));
    for (const name of names) {
      const [, pack] = PACK.exec(name) ?? [];
      if (pack === undefined) continue;
      packs++;
      if (names.has(`${pack}.bitmap`)) bitmaps++;
    }
  }
  return { packs, bitmaps };
}
