/** Limits of a {@link BoundedMap}. An omitted limit does not apply. */
export interface BoundedMapOptions<V> {
  readonly maxEntries: number;
  /** Limit of the total weight of all values. A value that weighs more by itself is not kept. */
  readonly maxWeight?: number;
  /**
   * Returns the weight of a value, in the unit of `maxWeight`. It is called when the value is set;
   * set a value again when its weight has changed. Default 1.
   */
  readonly weigh?: (value: V) => number;
  /** Maximum age of a value, counted from when it was set. */
  readonly maxAgeMs?: number;
  /** Clock for `maxAgeMs`. Default `performance.now`. */
  readonly now?: () => number;
  /**
   * Entry that is removed first at a limit: the least recently read or set one (`use`, the
   * default), or the least recently set one (`insertion`, which makes reading cheaper).
   */
  readonly order?: 'use' | 'insertion';
}

/** An entry, in a list in order of removal. */
interface Entry<K, V> {
  readonly key: K;
  readonly value: V;
  /** Weights of maps with `maxWeight`. Other maps have many small entries and need none. */
  readonly weight?: number;
  /** Of maps with `maxAgeMs`. */
  readonly deadline?: number;
  before: Entry<K, V> | undefined;
  after: Entry<K, V> | undefined;
}

/**
 * A map with limits, for caches. When a limit is reached, it removes the oldest entries. All
 * operations take constant time, apart from this removal.
 */
export class BoundedMap<K, V> {
  readonly #entries = new Map<K, Entry<K, V>>();
  /**
   * The order is in a separate list: to delete and set a key of a `Map` at every use would
   * replace its table again and again.
   */
  #first: Entry<K, V> | undefined;
  #last: Entry<K, V> | undefined;
  readonly #options: BoundedMapOptions<V>;
  readonly #movesOnUse: boolean;
  readonly #now: () => number;
  #weight = 0;

  constructor(options: BoundedMapOptions<V>) {
    this.#options = options;
    this.#movesOnUse = options.order !== 'insertion';
    this.#now = options.now ?? (() => performance.now());
  }

  /** Number of entries, including expired ones that have not been accessed since. */
  get size(): number {
    return this.#entries.size;
  }

  /** Total weight of all values; 0 without `maxWeight`. */
  get weight(): number {
    return this.#weight;
  }

  /**
   * Returns a value and counts this as a use. Returns `undefined` if there is none or it has
   * expired.
   */
  get(key: K): V | undefined {
    const entry = this.#find(key);
    if (entry !== undefined && this.#movesOnUse && entry !== this.#last) {
      this.#unlink(entry);
      this.#append(entry);
    }
    return entry?.value;
  }

  /** Returns a value as `get` does, without counting it as a use. */
  peek(key: K): V | undefined {
    return this.#find(key)?.value;
  }

  /** Reports whether there is a value, without counting it as a use. */
  has(key: K): boolean {
    return this.#find(key) !== undefined;
  }

  /** Adds or replaces a value, and removes entries beyond the limits. */
  set(key: K, value: V): this {
    const { maxEntries, maxWeight, weigh } = this.#options;
    const weight = maxWeight === undefined ? 0 : (weigh?.(value) ?? 1);
    if (maxWeight !== undefined && weight > maxWeight) {
      this.delete(key);
      return this;
    }
    const old = this.#entries.get(key);
    if (old !== undefined) this.#take(old);
    const entry = this.#entryOf(key, value, weight);
    this.#entries.set(key, entry);
    this.#append(entry);
    this.#weight += weight;
    while (
      this.#first !== undefined &&
      (this.#entries.size > maxEntries || (maxWeight !== undefined && this.#weight > maxWeight))
    )
      this.delete(this.#first.key);
    return this;
  }

  delete(key: K): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    this.#take(entry);
    return this.#entries.delete(key);
  }

  /** Deletes the entry that a limit would remove first, and returns its value. */
  shift(): V | undefined {
    const first = this.#first;
    if (first !== undefined) this.delete(first.key);
    return first?.value;
  }

  clear(): void {
    this.#entries.clear();
    this.#first = undefined;
    this.#last = undefined;
    this.#weight = 0;
  }

  /**
   * Returns the keys of this moment in order of removal. Entries may be deleted during the
   * iteration.
   */
  keys(): IterableIterator<K> {
    const keys: K[] = [];
    for (let entry = this.#first; entry !== undefined; entry = entry.after) keys.push(entry.key);
    return keys.values();
  }

  #find(key: K): Entry<K, V> | undefined {
    const entry = this.#entries.get(key);
    if (entry?.deadline === undefined || this.#now() < entry.deadline) return entry;
    this.delete(key);
    return undefined;
  }

  #entryOf(key: K, value: V, weight: number): Entry<K, V> {
    const { maxAgeMs, maxWeight } = this.#options;
    const [before, after] = [undefined, undefined];
    if (maxAgeMs !== undefined)
      return { key, value, before, after, weight, deadline: this.#now() + maxAgeMs };
    return maxWeight === undefined ? { key, value, before, after } : { key, value, before, after, weight };
  }

  /** Takes an entry off the list and its weight off the sum. */
  #take(entry: Entry<K, V>): void {
    this.#weight -= entry.weight ?? 0;
    this.#unlink(entry);
  }

  #append(entry: Entry<K, V>): void {
    entry.before = this.#last;
    if (this.#last === undefined) this.#first = entry;
    else this.#last.after = entry;
    this.#last = entry;
  }

  #unlink(entry: Entry<K, V>): void {
    if (entry.before === undefined) this.#first = entry.after;
    else entry.before.after = entry.after;
    if (entry.after === undefined) this.#last = entry.before;
    else entry.after.before = entry.before;
    entry.before = undefined;
    entry.after = undefined;
  }
}
