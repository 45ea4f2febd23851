import { LoopSlice } from '#base/loop-turns';
import { sortInTurns } from '#base/sort-in-turns';
import type { Connection } from '#client/connection';

/** A repository of the storage. */
export interface ListedRepository {
  readonly name: string;
  /** Last change of the directory: Unix time in milliseconds; 0 if the server does not report it. */
  readonly changedMs: number;
}

export const SORT_KEYS = ['name', 'changed'] as const;
export type SortKey = (typeof SORT_KEYS)[number];

/** The repositories at one moment, in both orders. */
type Catalog = Readonly<Record<SortKey, readonly ListedRepository[]>>;

/** A list is used for this long before a request has it read again in the background. */
const FRESH_MS = 10_000;
/** A list that no request uses is forgotten: a million names take some 130 MB. */
const KEEP_MS = 300_000;
/** Names that are compared between two readings of the clock. */
const NAMES_PER_LOOK = 256;
/** Directories of object pools, which are no repositories of users. */
const POOLS = '@pools/';

/**
 * The names of all repositories of a storage, so that no request walks the storage. The first one
 * waits until it was read.
 */
export class RepositoryCatalog implements Disposable {
  readonly #connection: Connection;
  readonly #storageName: string;
  #current: Promise<Catalog> | undefined;
  #reading: Promise<Catalog> | undefined;
  #readAtMs = 0;
  #forget: NodeJS.Timeout | undefined;
  readonly #end = new AbortController();

  constructor(connection: Connection, storageName: string) {
    this.#connection = connection;
    this.#storageName = storageName;
  }

  [Symbol.dispose](): void {
    this.#end.abort(new Error('the console ends'));
    clearTimeout(this.#forget);
  }

  /**
   * Yields the repositories whose names contain a text, in lower case, in the order of a key: names
   * ascending, changes with the latest first.
   *
   * @throws the signal's reason, and the error of the call that lists them.
   */
  async *find(
    text: string,
    sort: SortKey,
    signal: AbortSignal,
  ): AsyncGenerator<ListedRepository, void, undefined> {
    const catalog = await this.#catalog();
    const slice = new LoopSlice();
    for (const [index, repository] of catalog[sort].entries()) {
      if (text === '' || repository.name.toLowerCase().includes(text)) yield repository;
      if (index % NAMES_PER_LOOK === 0) await slice.pause(signal);
    }
  }

  /** Returns the number of repositories. @throws the error of the call that lists them. */
  async count(): Promise<number> {
    return (await this.#catalog()).name.length;
  }

  #catalog(): Promise<Catalog> {
    clearTimeout(this.#forget);
    this.#forget = setTimeout(() => {
      this.#current = undefined;
    }, KEEP_MS).unref();
    if (performance.now() - this.#readAtMs > FRESH_MS || this.#current === undefined) this.#refresh();
    return this.#current ?? this.#refresh();
  }

  /** Reads the list once, whoever asks meanwhile. The previous one is used until then. */
  #refresh(): Promise<Catalog> {
    if (this.#reading !== undefined) return this.#reading;
    const reading = this.#read();
    this.#reading = reading;
    this.#current ??= reading;
    const finish = (isDone: boolean): void => {
      this.#reading = undefined;
      this.#readAtMs = performance.now();
      if (isDone) this.#current = reading;
      else if (this.#current === reading) this.#current = undefined;
    };
    reading.then(
      () => finish(true),
      () => finish(false),
    );
    return reading;
  }

  async #read(): Promise<Catalog> {
    const found: ListedRepository[] = [];
    const { signal } = this.#end;
    const walked = this.#connection.internal.walkRepos({ storageName: this.#storageName }, { signal });
    for await (const { modificationTime, relativePath } of walked) {
      if (relativePath.startsWith(POOLS)) continue;
      found.push({ name: relativePath, changedMs: Number(modificationTime?.seconds ?? 0n) * 1000 });
    }
    return {
      name: await sortInTurns(found, (one, other) => (one.name < other.name ? -1 : 1), signal),
      changed: await sortInTurns(found, (one, other) => other.changedMs - one.changedMs, signal),
    };
  }
}
