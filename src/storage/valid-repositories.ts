import { type Stats, statSync } from 'node:fs';
import type { RepositoryLocation, Storage } from './repository-target.ts';

/** Repositories whose last check is remembered, about 0.3 KiB each. */
const MAX_REMEMBERED = 10_000;

/**
 * How long a directory must have been left alone before a check of it is trusted. File systems stamp changes with the time of
 * a coarse clock (Linux: up to 10 ms, some network file systems 1 s): two changes within one tick look like one.
 */
const SETTLED_MS = 2_000;

interface Known {
  readonly location: RepositoryLocation;
  readonly device: number;
  readonly inode: number;
  readonly changedMs: number;
}

/**
 * Remembers which directories were found to be valid repositories, so that the next call needs one `stat` instead of five and a
 * walk along the path. An entry holds as long as the directory is the same one and nothing was added to it, removed from it,
 * and it was not moved: each of those changes its inode or its change time, which no program can set back.
 */
export class ValidRepositories {
  readonly #known = new Map<string, Map<string, Known>>();
  readonly #now: () => number;
  #count = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** The place of a repository that is valid now, `undefined` when it has to be checked. */
  find(storage: Storage, relativePath: string): RepositoryLocation | undefined {
    const known = this.#known.get(storage.name)?.get(relativePath);
    if (known === undefined) return undefined;
    const stats = currentStats(known.location.path);
    if (stats?.ino === known.inode && stats.ctimeMs === known.changedMs && stats.dev === known.device) return known.location;

    this.#forget(storage.name, relativePath);
    return undefined;
  }

  /** Remembers a directory that was just checked. `stats` are from before the check. */
  remember(location: RepositoryLocation, relativePath: string, stats: Stats): void {
    if (this.#now() - stats.ctimeMs < SETTLED_MS) return;
    if (this.#count >= MAX_REMEMBERED) this.#forgetAll();

    let inStorage = this.#known.get(location.storage.name);
    if (inStorage === undefined) {
      inStorage = new Map();
      this.#known.set(location.storage.name, inStorage);
    }
    if (!inStorage.has(relativePath)) this.#count++;
    inStorage.set(relativePath, { location, device: stats.dev, inode: stats.ino, changedMs: stats.ctimeMs });
  }

  #forget(storageName: string, relativePath: string): void {
    if (this.#known.get(storageName)?.delete(relativePath)) this.#count--;
  }

  /** Starting afresh costs each repository one full check, which is cheaper than keeping them in order of use. */
  #forgetAll(): void {
    this.#known.clear();
    this.#count = 0;
  }
}

function currentStats(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined; // The full check that follows finds the reason and reports it.
  }
}
