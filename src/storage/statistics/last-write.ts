import { type Stats, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { BoundedMap } from '#base/bounded-map';
import { ignoreMissing } from '#base/files/ignore-missing';
import { LoopSlice } from '#base/loop-turns';
import type { RepositoryTarget } from '../repository-target.ts';
import type { Storages } from '../storages.ts';

/**
 * Files and directories of which every push changes one: that of objects while it has a quarantine,
 * and those of references. Maintenance changes them as well.
 */
const WRITTEN = [
  'objects',
  'refs/heads',
  'refs/tags',
  'packed-refs',
  'HEAD',
  'reftable/tables.list',
] as const;

/** Repositories of some pages of people who look at them. */
const MAX_LATELY_READ = 2000;
/** The kernel keeps what was read for longer than this, unless it lacks memory. */
const LATELY_MS = 60_000;

/**
 * Reads when repositories last changed. The kernel has in memory what was read lately: reading it
 * in this thread takes 2 µs for each file, and ten times that in the thread pool. Anything else may
 * take a disk's time, during which the event loop continues.
 */
export class LastWrites {
  readonly #storages: Storages;
  readonly #latelyRead = new BoundedMap<string, true>({
    maxEntries: MAX_LATELY_READ,
    maxAgeMs: LATELY_MS,
  });

  constructor(storages: Storages) {
    this.#storages = storages;
  }

  /**
   * Returns the times of the last changes of references or objects of repositories of a storage:
   * Unix times in milliseconds, 0 for a repository that is missing, and for other paths.
   *
   * @throws {Error} when the file system does.
   */
  async of(storageName: string, relativePaths: readonly string[]): Promise<number[]> {
    const times: number[] = [];
    const slice = new LoopSlice();
    for (const relativePath of relativePaths) {
      if (slice.isOver) await slice.pause();
      const path = this.#pathOf({ storageName, relativePath });
      times.push(path === undefined ? 0 : (this.#readNow(path) ?? (await this.#read(path))));
    }
    return times;
  }

  /** Returns `undefined` for what is no path of a repository. */
  #pathOf(target: RepositoryTarget): string | undefined {
    try {
      return this.#storages.locate(target).path;
    } catch {
      return undefined;
    }
  }

  /** Returns `undefined` if it was not read lately. */
  #readNow(path: string): number | undefined {
    if (!this.#latelyRead.has(path)) return undefined;
    try {
      return latestMs(WRITTEN.map((name) => statSync(`${path}/${name}`, { throwIfNoEntry: false })));
    } catch {
      return undefined; // the other way handles the error
    }
  }

  async #read(path: string): Promise<number> {
    const stats = await Promise.all(WRITTEN.map((name) => stat(`${path}/${name}`).catch(ignoreMissing)));
    this.#latelyRead.set(path, true);
    return latestMs(stats);
  }
}

function latestMs(stats: readonly (Stats | undefined)[]): number {
  return stats.reduce((latest, each) => Math.max(latest, Math.floor(each?.mtimeMs ?? 0)), 0);
}
