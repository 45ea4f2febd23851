import { type Dirent, lstatSync } from 'node:fs';
import { type FileStamp, isSettled, stampOf } from '#base/files/file-stamp';
import { BoundedMap } from '#base/memory/bounded-map';

/** Limit of directories: some megabytes of names and stamps. */
const MAX_DIRECTORIES = 8192;

/**
 * Matches a file that is being written: the names of git's temporary files begin or end like this.
 */
const TEMPORARY = /tmp|\.lock$/;

interface Remembered<Facts> {
  readonly facts: Facts;
  readonly stamp: FileStamp;
}

/** Remembers what was found in directories of objects and references while they do not change. */
export class DirectoryMemory<Facts extends object> {
  readonly #known = new BoundedMap<string, Remembered<Facts>>({ maxEntries: MAX_DIRECTORIES });
  readonly #now: () => number;

  /** @param now milliseconds since 1970, for tests. */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Number of directories that are known. */
  get size(): number {
    return this.#known.size;
  }

  /**
   * Returns what is known of a directory, or else a function: call it with what was found, and it
   * keeps what may be kept.
   */
  look(directory: string): Facts | ((facts: Facts, entries: readonly Dirent[]) => void) {
    if (!hasNoChangesInPlace(directory)) return () => {};
    const stats = lstatSync(directory, { throwIfNoEntry: false });
    if (stats === undefined) return () => {};
    const stamp = stampOf(stats);
    const known = this.#known.get(directory);
    if (known?.stamp === stamp) return known.facts;
    return (facts, entries) => {
      // The stamp is from before the directory was read, so that a change since then gives another
      // stamp.
      if (!isSettled(stats, this.#now()) || entries.some(({ name }) => TEMPORARY.test(name)))
        this.#known.delete(directory);
      else this.#known.set(directory, { facts, stamp });
    };
  }
}

/**
 * Reports whether git only creates, replaces and removes the files of a directory. It writes a file
 * under a temporary name, and each of these steps changes the directory's time. That is so for
 * `objects`, `refs` and all directories below them.
 */
function hasNoChangesInPlace(directory: string): boolean {
  const names = directory.split('/');
  return names
    .slice(Math.max(1, names.lastIndexOf('') + 1))
    .some((name) => name === 'objects' || name === 'refs');
}
