import { type Stats, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { LoopSlice } from '#base/async/loop-turns';
import { attempt } from '#base/attempt';
import { ignoreMissing } from '#base/files/ignore-missing';
import { BoundedMap } from '#base/memory/bounded-map';
import type { RepositoryTarget } from '../repository-target.ts';
import type { Storages } from '../storages.ts';

/**
 * Files and directories one of which is changed by every push: that of objects while it has a
 * quarantine, and those of references. Maintenance changes them as well.
 */
const WRITTEN = [
  'objects',
  'refs/heads',
  'refs/tags',
  'packed-refs',
  'HEAD',
  'reftable/tables.list',
] as const;

/** Limit of recently read repositories: those of some pages of the console. */
const MAX_LATELY_READ = 2000;
/** Time for which the kernel keeps what was read, unless it lacks memory. */
const LATELY_MS = 60_000;

/**
 * Reads when repositories last changed. The kernel has recently read files in memory: reading one
 * in this thread takes 2 µs, and ten times that in the thread pool. Other files may take a disk
 * access, during which the event loop continues.
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

  /** Returns the path of a repository; `undefined` if the target is none. */
  #pathOf(target: RepositoryTarget): string | undefined {
    return attempt(() => this.#storages.locate(target).path);
  }

  /** Reads the time without waiting; `undefined` if it was not read recently. */
  #readNow(path: string): number | undefined {
    if (!this.#latelyRead.has(path)) return undefined;
    // On failure: the other way handles the error
    return attempt(() =>
      latestMs(WRITTEN.map((name) => statSync(`${path}/${name}`, { throwIfNoEntry: false }))),
    );
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
