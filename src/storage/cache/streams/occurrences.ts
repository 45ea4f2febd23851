/** Limit of counted keys; beyond it the counts rotate early. */
const MAX_KEYS = 50_000;

/**
 * Counts how often keys were seen lately. The counts are kept in two generations, so that a key is
 * forgotten between one and two periods after its first occurrence.
 */
export class Occurrences {
  readonly #periodMs: number;
  readonly #now: () => number;
  #current = new Map<string, number>();
  #previous = new Map<string, number>();
  #rotatedAt: number;

  constructor(periodMs: number, now: () => number) {
    this.#periodMs = periodMs;
    this.#now = now;
    this.#rotatedAt = now();
  }

  /** Counts a key, and returns how often it was seen before. */
  count(key: string): number {
    const now = this.#now();
    if (now - this.#rotatedAt >= this.#periodMs || this.#current.size >= MAX_KEYS) {
      this.#previous = now - this.#rotatedAt < 2 * this.#periodMs ? this.#current : new Map();
      this.#current = new Map();
      this.#rotatedAt = now;
    }
    const before = this.#current.get(key) ?? this.#previous.get(key) ?? 0;
    this.#current.set(key, before + 1);
    return before;
  }
}
