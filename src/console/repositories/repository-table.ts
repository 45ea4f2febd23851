import { eachInTurn, LoopSlice } from '#base/async/loop-turns';
import { sortInTurns } from '#base/async/sort-in-turns';

export interface FoundRepository {
  readonly name: string;
  /** Unix time in milliseconds; 0 if it is not known. */
  readonly changedMs: number;
}

/** Size of a repository, and the parts of it that maintenance would pack. */
export interface RepositoryFigures {
  readonly bytes: number;
  readonly looseObjects: number;
  readonly packfiles: number;
  /** Path of the object pool from which it borrows objects. */
  readonly pool: string | undefined;
}

export interface ListedRepository {
  /** Position in the table, for {@link RepositoryTable.setFigures}. */
  readonly index: number;
  readonly name: string;
  /** Last change of its references or objects: Unix time in milliseconds; 0 if it is not known. */
  readonly changedMs: number;
  /** `undefined` before it was measured. */
  readonly figures: RepositoryFigures | undefined;
}

export const SORT_KEYS = ['name', 'pushed', 'size', 'debt', 'pool'] as const;
export type SortKey = (typeof SORT_KEYS)[number];

export interface RepositoryTableOptions {
  /** In lower case; selects the names that contain it. */
  readonly search: string;
  readonly sort: SortKey;
  /** Number of matches to skip. */
  readonly from: number;
  readonly signal: AbortSignal;
}

/** Sorting a table again after changes takes at most this part of the time. */
const SORT_SHARE = 1 / 20;
/** Requests wait for the order of a table of this size: some ten milliseconds. */
const SORTED_AT_ONCE = 10_000;
const NO_POOL = 0;

/** Returns loose objects and packs that maintenance would put into one pack. */
export function debtOf({ looseObjects, packfiles }: RepositoryFigures): number {
  return looseObjects + Math.max(0, packfiles - 1);
}

interface Order {
  readonly indexes: Uint32Array;
  readonly revision: number;
  /** Value of `performance.now()` until which it is used even if the table changes. */
  readonly freshUntilMs: number;
}

/**
 * The repositories of a storage in columns: besides its name, one takes 40 bytes, and 4 more for
 * each order in which it was listed.
 */
export class RepositoryTable {
  /** Ascending. */
  readonly #names: readonly string[];
  readonly #changedMs: Float64Array;
  /** The change at which a repository was measured; NaN before. */
  readonly #measuredAt: Float64Array;
  readonly #bytes: Float64Array;
  readonly #looseObjects: Uint32Array;
  readonly #packfiles: Uint32Array;
  /** Positions in {@link #pools}. */
  readonly #pool: Uint32Array;
  /** Paths of pools; none at 0. */
  readonly #pools: string[] = [''];
  readonly #poolIndexes = new Map<string, number>();
  readonly #orders = new Map<SortKey, Order>();
  readonly #sorting = new Map<SortKey, Promise<Uint32Array>>();
  #revision = 0;
  #measured = 0;

  private constructor(names: readonly string[], changedMs: Float64Array) {
    this.#names = names;
    this.#changedMs = changedMs;
    this.#measuredAt = new Float64Array(names.length).fill(Number.NaN);
    this.#bytes = new Float64Array(names.length);
    this.#looseObjects = new Uint32Array(names.length);
    this.#packfiles = new Uint32Array(names.length);
    this.#pool = new Uint32Array(names.length);
  }

  /** Creates a table. @param previous table whose figures are reused. */
  static async of(
    found: readonly FoundRepository[],
    { previous, signal }: { readonly previous?: RepositoryTable | undefined; readonly signal: AbortSignal },
  ): Promise<RepositoryTable> {
    const sorted = await sortInTurns(found, (one, other) => (one.name < other.name ? -1 : 1), signal);
    const names: string[] = [];
    const changedMs = new Float64Array(sorted.length);
    await eachInTurn(
      sorted,
      (each) => {
        changedMs[names.length] = each.changedMs;
        names.push(each.name);
      },
      signal,
    );
    const table = new RepositoryTable(names, changedMs);
    if (previous !== undefined) await table.#takeOver(previous, signal);
    return table;
  }

  get size(): number {
    return this.#names.length;
  }

  /** Names in their order. */
  get names(): readonly string[] {
    return this.#names;
  }

  has(name: string): boolean {
    return this.#names[this.positionOf(name)] === name;
  }

  /** Returns the position of a name, or of the next one if it is missing. */
  positionOf(name: string): number {
    let [start, end] = [0, this.size];
    while (start < end) {
      const middle = (start + end) >>> 1;
      if ((this.#names[middle] ?? '') < name) start = middle + 1;
      else end = middle;
    }
    return start;
  }

  /** Number of repositories with figures. */
  get measured(): number {
    return this.#measured;
  }

  at(index: number): ListedRepository {
    const name = this.#names[index];
    if (name === undefined) throw new RangeError(`no repository at ${index}`);
    return { index, name, changedMs: this.#changedMs[index] ?? 0, figures: this.#figuresAt(index) };
  }

  /** Reports whether a repository was not measured since its last known change. */
  isStale(index: number): boolean {
    return this.#measuredAt[index] !== this.#changedMs[index];
  }

  /** Sets the time of the last change of a repository. */
  setChanged(index: number, changedMs: number): void {
    if (this.#changedMs[index] === changedMs) return;
    this.#changedMs[index] = changedMs;
    this.#revision++;
  }

  setFigures(index: number, figures: RepositoryFigures): void {
    if (Number.isNaN(this.#measuredAt[index])) this.#measured++;
    this.#measuredAt[index] = this.#changedMs[index] ?? 0;
    this.#bytes[index] = figures.bytes;
    this.#looseObjects[index] = figures.looseObjects;
    this.#packfiles[index] = figures.packfiles;
    this.#pool[index] = figures.pool === undefined ? NO_POOL : this.#indexOfPool(figures.pool);
    this.#revision++;
  }

  /**
   * Yields the repositories whose names contain a text, in an order: names and pools ascending,
   * other columns with the largest first. Unknown values are last.
   *
   * @throws the signal's reason.
   */
  async *list({
    from,
    search,
    signal,
    sort,
  }: RepositoryTableOptions): AsyncGenerator<ListedRepository, void, undefined> {
    const order = sort === 'name' ? undefined : await this.#order(sort, signal);
    const slice = new LoopSlice();
    let skip = search === '' ? 0 : from;
    for (let position = search === '' ? from : 0; position < this.size; position++) {
      if (slice.isOverAfterItem()) await slice.pause(signal);
      const index = order === undefined ? position : (order[position] ?? 0);
      if (search !== '' && !this.#names[index]?.toLowerCase().includes(search)) continue;
      if (skip > 0) skip--;
      else yield this.at(index);
    }
  }

  #figuresAt(index: number): RepositoryFigures | undefined {
    if (Number.isNaN(this.#measuredAt[index])) return undefined;
    const pool = this.#pool[index] ?? NO_POOL;
    return {
      bytes: this.#bytes[index] ?? 0,
      looseObjects: this.#looseObjects[index] ?? 0,
      packfiles: this.#packfiles[index] ?? 0,
      pool: pool === NO_POOL ? undefined : this.#pools[pool],
    };
  }

  #indexOfPool(path: string): number {
    const known = this.#poolIndexes.get(path);
    if (known !== undefined) return known;
    this.#poolIndexes.set(path, this.#pools.length);
    return this.#pools.push(path) - 1;
  }

  async #takeOver(previous: RepositoryTable, signal: AbortSignal): Promise<void> {
    const slice = new LoopSlice();
    let old = 0;
    for (const [index, name] of this.#names.entries()) {
      if (slice.isOverAfterItem()) await slice.pause(signal);
      while ((previous.#names[old] ?? name) < name) old++;
      if (previous.#names[old] !== name) continue;
      const { changedMs, figures } = previous.at(old);
      const measuredAt = previous.#measuredAt[old] ?? Number.NaN;
      this.setChanged(index, Math.max(changedMs, this.#changedMs[index] ?? 0));
      if (figures === undefined) continue;
      this.setFigures(index, figures);
      this.#measuredAt[index] = measuredAt;
    }
  }

  /** Returns an order. In a large table, the previous one is used until the next one is made. */
  async #order(key: SortKey, signal: AbortSignal): Promise<Uint32Array> {
    const known = this.#orders.get(key);
    const isGood = known?.revision === this.#revision || performance.now() < (known?.freshUntilMs ?? 0);
    if (known !== undefined && isGood) return known.indexes;
    const running = this.#sorting.get(key) ?? this.#sort(key);
    this.#sorting.set(key, running);
    signal.throwIfAborted();
    return known === undefined || this.size <= SORTED_AT_ONCE ? await running : known.indexes;
  }

  async #sort(key: SortKey): Promise<Uint32Array> {
    const revision = this.#revision;
    const startedAtMs = performance.now();
    const compare = this.#comparison(key);
    const all: number[] = [];
    for (let index = 0; index < this.size; index++) all.push(index);
    const sorted = await sortInTurns(all, (one, other) => compare(one, other) || one - other);
    const indexes = new Uint32Array(sorted);
    const nowMs = performance.now();
    const freshUntilMs = nowMs + (nowMs - startedAtMs) / SORT_SHARE;
    this.#orders.set(key, { indexes, revision, freshUntilMs });
    this.#sorting.delete(key);
    return indexes;
  }

  #comparison(key: SortKey): (one: number, other: number) => number {
    const largestFirst = (valueAt: (index: number) => number) => (one: number, other: number) =>
      valueAt(other) - valueAt(one);
    const known = (index: number): boolean => !Number.isNaN(this.#measuredAt[index]);
    switch (key) {
      case 'name':
        return () => 0;
      case 'pushed':
        return largestFirst((index) => this.#changedMs[index] ?? 0);
      case 'size':
        return largestFirst((index) => (known(index) ? (this.#bytes[index] ?? 0) : -1));
      case 'debt':
        return largestFirst((index) => {
          const figures = this.#figuresAt(index);
          return figures === undefined ? -1 : debtOf(figures);
        });
      case 'pool':
        return this.#comparePools();
    }
  }

  /** Members of the same pool follow each other; those without a pool come after them. */
  #comparePools(): (one: number, other: number) => number {
    const ranked = this.#pools.map((path, pool) => ({ path, pool })).slice(1);
    const ranks = new Uint32Array(this.#pools.length).fill(this.#pools.length);
    for (const [rank, { pool }] of ranked.sort((a, b) => (a.path < b.path ? -1 : 1)).entries())
      ranks[pool] = rank;
    const rankAt = (index: number): number => ranks[this.#pool[index] ?? NO_POOL] ?? ranks.length;
    return (one, other) => rankAt(one) - rankAt(other);
  }
}
