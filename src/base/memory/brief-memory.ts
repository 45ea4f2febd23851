import { BoundedMap } from './bounded-map.ts';

export interface BriefMemoryOptions<V> {
  /** Limit of the bytes of all values together. */
  readonly maxBytes: number;
  readonly maxValueBytes: number;
  /** Time after which a value is forgotten, however often it is read. */
  readonly maxAgeMs: number;
  /** Returns the size of a value in bytes. */
  readonly sizeOf: (value: V) => number;
}

/** Memory that an entry takes in addition to its value. */
const ENTRY_BYTES = 500;

/**
 * Values that are kept for a short time, by key. Memory is bounded, and released without a further
 * call when the values are old.
 */
export class BriefMemory<V> {
  readonly #options: BriefMemoryOptions<V>;
  readonly #values: BoundedMap<string, V>;
  #sweeper: NodeJS.Timeout | undefined;

  constructor(options: BriefMemoryOptions<V>) {
    this.#options = options;
    this.#values = new BoundedMap({
      maxEntries: Math.ceil(options.maxBytes / ENTRY_BYTES),
      maxWeight: options.maxBytes,
      weigh: (value) => ENTRY_BYTES + options.sizeOf(value),
      maxAgeMs: options.maxAgeMs,
      order: 'insertion',
    });
  }

  get size(): number {
    return this.#values.size;
  }

  get(key: string): V | undefined {
    return this.#values.get(key);
  }

  /** Keeps a value, unless it is too large. */
  set(key: string, value: V): void {
    if (this.#options.sizeOf(value) > this.#options.maxValueBytes) return;
    this.#values.set(key, value);
    this.#sweeper ??= setInterval(() => this.#sweep(), this.#options.maxAgeMs).unref();
  }

  delete(key: string): void {
    this.#values.delete(key);
  }

  #sweep(): void {
    for (const key of this.#values.keys()) this.#values.has(key); // forgets what is too old
    if (this.#values.size > 0) return;
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }
}
