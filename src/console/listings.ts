import { BoundedMap } from '#base/memory/bounded-map';
import type { FileEntry } from '#client/repository/contents';
import { directoryKey, type LastCommits, type ShownDirectory } from './last-commit-searches.ts';

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

  get(directory: ShownDirectory): Listing | undefined {
    return this.#known.get(directoryKey(directory));
  }

  /** Keeps a listing that is complete. */
  add(directory: ShownDirectory, listing: Listing): void {
    if (typeof listing.changes === 'object') this.#known.set(directoryKey(directory), listing);
  }
}
