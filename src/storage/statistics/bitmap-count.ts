import { withAlternates } from '#git/repository-files/alternates-file';
import { DirectoryMemory } from './directory-memory.ts';
import { entriesOf } from './directory-size.ts';

const PACK = /^(pack-[0-9a-f]{40}(?:[0-9a-f]{24})?)\.pack$/;

export interface BitmapCount {
  readonly packs: number;
  /** Number of bitmaps that belong to single packs. */
  readonly bitmaps: number;
}

/** Counts packs and bitmaps; those of directories that have not changed are remembered. */
export class BitmapCounts {
  readonly #known: DirectoryMemory<BitmapCount>;

  /** @param now as for {@link DirectoryMemory}. */
  constructor(now?: () => number) {
    this.#known = new DirectoryMemory(now);
  }

  /** Counts the packs of a repository and of its alternates, and their bitmaps. */
  async count(repositoryPath: string): Promise<BitmapCount> {
    let [packs, bitmaps] = [0, 0];
    for (const directory of withAlternates([`${repositoryPath}/objects`])) {
      const count = await this.#countIn(`${directory}/pack`);
      packs += count.packs;
      bitmaps += count.bitmaps;
    }
    return { packs, bitmaps };
  }

  async #countIn(directory: string): Promise<BitmapCount> {
    const known = this.#known.look(directory);
    if (typeof known === 'object') return known;
    const entries = await entriesOf(directory);
    const names = new Set(Array.from(entries, ({ name }) => name));
    const packs = [...names].flatMap((name) => PACK.exec(name)?.[1] ?? []);
    const bitmaps = packs.filter((pack) => names.has(`${pack}.bitmap`)).length;
    const count = { packs: packs.length, bitmaps };
    known(count, entries);
    return count;
  }
}
