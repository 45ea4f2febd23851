import { type Stats, statSync } from 'node:fs';
import { attempt } from '#base/attempt';
import { type FileStamp, isSettled, stampOf } from '#base/files/file-stamp';
import { BoundedMap } from '#base/memory/bounded-map';
import type { RepositoryLocation, Storage } from './repository-target.ts';

/** Limit of cached checks, about 0.3 KiB each. */
const MAX_REMEMBERED = 10_000;

/** A valid repository, with the stats of its directory. */
export interface ValidRepository {
  readonly location: RepositoryLocation;
  readonly stats: Stats;
}

interface Known {
  readonly location: RepositoryLocation;
  readonly stamp: FileStamp;
}

/**
 * Directories that were found to be valid repositories, so that the next call needs one `stat`
 * instead of five and a walk along the path. An entry is valid while the directory is the same and
 * no entry was added or removed, and it was not moved: each of those changes its inode or its
 * change time, which programs cannot set.
 */
export class ValidRepositories {
  /** Entries in insertion order, so that reading remains a plain lookup on every call. */
  readonly #known = new BoundedMap<string, Known>({ maxEntries: MAX_REMEMBERED, order: 'insertion' });
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Returns a repository that is valid now; `undefined` if it must be checked. */
  find(storage: Storage, relativePath: string): ValidRepository | undefined {
    const key = repositoryKey(storage, relativePath);
    const known = this.#known.get(key);
    if (known === undefined) return undefined;
    const stats = currentStats(known.location.path);
    if (stats !== undefined && stampOf(stats) === known.stamp) return { location: known.location, stats };

    this.#known.delete(key);
    return undefined;
  }

  /** Adds a directory that was just checked. `stats` are from before the check. */
  remember(location: RepositoryLocation, relativePath: string, stats: Stats): void {
    if (!isSettled(stats, this.#now())) return;
    this.#known.set(repositoryKey(location.storage, relativePath), { location, stamp: stampOf(stats) });
  }
}

function repositoryKey(storage: Storage, relativePath: string): string {
  return `${storage.name}\0${relativePath}`;
}

function currentStats(path: string): Stats | undefined {
  // On failure: the following full check finds the reason and reports it.
  return attempt(() => statSync(path, { throwIfNoEntry: false }));
}
