/** Keys that are noted at a time; a further one replaces another. 8 bytes each. */
const SLOTS = 1 << 14;
const MS_PER_SECOND = 1000;
/** Parameters of FNV-1a. @see http://www.isthe.com/chongo/tech/comp/fnv/ */
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

export interface RecentKeysOptions {
  /** Time for which a key is noted, from when it was noted last; whole seconds. */
  readonly maxAgeMs: number;
  /** Clock in milliseconds. Default `performance.now`. */
  readonly now?: () => number;
}

/**
 * Keys that were noted lately, for caches that keep only what is asked for repeatedly. Its memory
 * does not depend on the keys. It may forget a key early, and in one of some 10⁹ cases it takes a
 * key for another one, so use it for decisions that may be wrong.
 */
export class RecentKeys {
  readonly #hashes = new Uint32Array(SLOTS);
  /** Seconds of the clock when the key was noted; 0 for a free place. */
  readonly #seconds = new Uint32Array(SLOTS);
  readonly #maxAgeSeconds: number;
  readonly #now: () => number;

  constructor({ maxAgeMs, now = () => performance.now() }: RecentKeysOptions) {
    this.#maxAgeSeconds = maxAgeMs / MS_PER_SECOND;
    this.#now = now;
  }

  /** Notes a key, and reports whether it was noted lately. */
  note(key: string): boolean {
    const hash = hashOf(key);
    const slot = hash % SLOTS;
    const second = 1 + Math.floor(this.#now() / MS_PER_SECOND);
    const notedAt = this.#hashes[slot] === hash ? (this.#seconds[slot] ?? 0) : 0;
    this.#hashes[slot] = hash;
    this.#seconds[slot] = second;
    return notedAt > 0 && second - notedAt <= this.#maxAgeSeconds;
  }
}

function hashOf(key: string): number {
  let hash = FNV_OFFSET;
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), FNV_PRIME);
  return hash >>> 0;
}
