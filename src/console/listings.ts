import { BoundedMap } from '#base/memory/bounded-map';
import type { FileEntry } from '#client/repository/contents';
import { type Directory, directoryKey, type LastCommits } from './last-changes.ts';

/** Everything that a page shows of a directory of a commit. */
export interface Listing {
  /** Directories first. */
  readonly shown: readonly FileEntry[];
  readonly hasMore: boolean;
  /** Sizes of files in bytes, by id. */
  readonly sizes: ReadonlyMap<string, number>;
  readonly changes: LastCommits | 'later' | undefined;
}

/** Entries of all kept listings, of some 500 bytes each. */
const MAX_ENTRIES = 20_000;

/** Complete listings of directories that were shown. A commit never changes, so they stay true. */
export class Listings {
  readonly #known = new BoundedMap<string, Listing>({
    maxEntries: MAX_ENTRIES,
    maxWeight: MAX_ENTRIES,
    weigh: ({ shown }) => shown.length + 1,
  });

  /** Returns the listing of a directory, kept or read now. */
  async of(directory: Directory, read: () => Promise<Listing>): Promise<Listing> {
    const key = directoryKey(directory);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const listing = await read();
    if (typeof listing.changes === 'object') this.#known.set(key, listing);
    return listing;
  }
}
