import { type Stats, statSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { LoopSlice } from '#base/async/loop-turns';
import { attempt } from '#base/attempt';
import { typedEntries } from '#base/files/typed-entries';
import { isGitDirectory } from './git-directory.ts';
import type { Storage } from './repository-target.ts';
import { isOwnPath } from './storage-layout.ts';

/** A directory of a storage that has changed. */
export interface ScannedDirectory {
  /** Relative path; empty for the storage itself. */
  readonly directory: string;
  /**
   * The repositories in it, without those further below; `undefined` if the directory is gone, with
   * all that was below it.
   */
  readonly repositories: readonly ScannedRepository[] | undefined;
}

export interface ScannedRepository {
  readonly relativePath: string;
  /**
   * Last change of the directory, Unix time in milliseconds; `undefined` for a known repository.
   */
  readonly modifiedMs: number | undefined;
}

export interface RepositoryScanOptions {
  /** Reports whether a repository was found before. Such a repository is not examined again. */
  readonly knows: (relativePath: string) => boolean;
  readonly signal: AbortSignal;
}

interface ReadDirectory {
  /** Time of its last change; NaN if it has to be read again. */
  readonly mtimeMs: number;
  /** Names of directories in it that are not repositories. */
  readonly names: readonly string[];
}

/** Age up to which a change may have the same time as a later one. */
const SAME_TIME_MS = 2000;
const POOLS = '@pools';
/**
 * Time for which the kernel keeps what was read, unless it lacks memory. Reading a time takes 2 µs
 * in this thread then, and ten times that in the thread pool.
 */
const LATELY_MS = 60_000;

/** The options of a scan, and its state. */
interface Visit extends RepositoryScanOptions {
  /**
   * Reports whether the last scan was recent enough that the kernel has the directories in memory.
   */
  readonly isWarm: boolean;
  readonly slice: LoopSlice;
}

/**
 * Finds the repositories of a storage, and later those that were added or removed. Of a directory
 * that has not changed, it reads only the time. It leaves out object pools, and what cannot be
 * read.
 */
export class RepositoryScan {
  readonly #storage: Storage;
  readonly #read = new Map<string, ReadDirectory>();
  #scannedAtMs = Number.NEGATIVE_INFINITY;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** Number of directories whose times a scan reads. */
  get size(): number {
    return this.#read.size;
  }

  /** Forgets what was read: the next scan yields all directories. */
  reset(): void {
    this.#read.clear();
  }

  /**
   * Yields the directories that have changed since the last scan, at first all. After an error or
   * an early end, call {@link reset}.
   *
   * @throws the signal's reason.
   */
  async *changes(options: RepositoryScanOptions): AsyncGenerator<ScannedDirectory, void, undefined> {
    const isWarm = performance.now() - this.#scannedAtMs < LATELY_MS;
    yield* this.#visit('', { ...options, isWarm, slice: new LoopSlice() });
    this.#scannedAtMs = performance.now();
  }

  async *#visit(directory: string, options: Visit): AsyncGenerator<ScannedDirectory, void, undefined> {
    options.signal.throwIfAborted();
    const path = this.#pathOf(directory);
    const before = this.#read.get(directory);
    // Taken before the entries are read, so that the next scan finds a change meanwhile.
    await options.slice.pause(options.signal);
    const isKnown = before !== undefined && options.isWarm;
    const stats = isKnown ? statNow(path) : await stat(path).catch(() => undefined); // gone, or unreadable
    if (stats === undefined) return yield* this.#forget(directory);
    let names = before?.names ?? [];
    if (before?.mtimeMs !== stats.mtimeMs) {
      if (before !== undefined && directory !== '' && isGitDirectory(path)) return this.#becameOne(directory);
      const isOld = Date.now() - stats.mtimeMs > SAME_TIME_MS;
      const read = await this.#entries(directory, options);
      this.#read.set(directory, { mtimeMs: isOld ? stats.mtimeMs : Number.NaN, names: read.names });
      yield { directory, repositories: read.repositories };
      const kept = new Set(read.names);
      for (const name of names) if (!kept.has(name)) yield* this.#forget(below(directory, name));
      names = read.names;
    }
    for (const name of names) yield* this.#visit(below(directory, name), options);
  }

  async #entries(
    directory: string,
    { knows, signal }: RepositoryScanOptions,
  ): Promise<{ readonly repositories: ScannedRepository[]; readonly names: string[] }> {
    const path = this.#pathOf(directory);
    const read = await readdir(path, { withFileTypes: true, encoding: 'buffer' }).catch(() => []); // as above
    const repositories: ScannedRepository[] = [];
    const names: string[] = [];
    const slice = new LoopSlice();
    for (const entry of typedEntries(path, read)) {
      if (!(entry.isDirectory() || entry.isSymbolicLink())) continue;
      const name = entry.name.toString();
      const relativePath = below(directory, name);
      const inside = this.#pathOf(relativePath);
      if (relativePath === POOLS || isOwnPath(this.#storage, inside)) continue;
      await slice.pause(signal);
      if (knows(relativePath)) repositories.push({ relativePath, modifiedMs: undefined });
      else if (isGitDirectory(inside)) {
        const stats = await stat(inside).catch(() => undefined); // removed meanwhile
        if (stats !== undefined) repositories.push({ relativePath, modifiedMs: stats.mtimeMs });
      } else if (entry.isDirectory()) names.push(name);
    }
    return { repositories, names };
  }

  /** Handles a directory that has become a repository: its parent is read again. */
  #becameOne(directory: string): void {
    this.#read.delete(directory);
    const parent = directory.slice(0, Math.max(0, directory.lastIndexOf('/')));
    const read = this.#read.get(parent);
    if (read !== undefined) this.#read.set(parent, { ...read, mtimeMs: Number.NaN });
  }

  *#forget(directory: string): Generator<ScannedDirectory, void, undefined> {
    const read = this.#read.get(directory);
    this.#read.delete(directory);
    for (const name of read?.names ?? []) yield* this.#forget(below(directory, name));
    if (read !== undefined) yield { directory, repositories: undefined };
  }

  #pathOf(relativePath: string): string {
    return relativePath === '' ? this.#storage.path : `${this.#storage.path}/${relativePath}`;
  }
}

/** Returns `undefined` for a directory that is gone, or unreadable. */
function statNow(path: string): Stats | undefined {
  return attempt(() => statSync(path, { throwIfNoEntry: false }));
}

function below(directory: string, name: string): string {
  return directory === '' ? name : `${directory}/${name}`;
}
