export interface TokenBucketsOptions {
  /** Tokens of a full bucket. */
  readonly burst: number;
  /** Time in which a bucket gains one token; above 0. */
  readonly intervalMs: number;
  /** Returns milliseconds that only grow. Default `performance.now`. */
  readonly now?: () => number;
}

interface Bucket {
  tokens: number;
  readAt: number;
}

/** Buckets that are kept without looking for full ones. */
const MIN_SWEEP_SIZE = 1000;
/** Limit of buckets. Beyond it the oldest one starts anew, full. */
const MAX_BUCKETS = 100_000;
/** Longer keys share a bucket, so that a client cannot fill the memory with them: no path is longer. */
const MAX_KEY_LENGTH = 4096;

/** Limits how often something happens: a bucket of tokens for each key. */
export class TokenBuckets {
  readonly #options: TokenBucketsOptions;
  readonly #now: () => number;
  readonly #buckets = new Map<string, Bucket>();
  #sweepAt = MIN_SWEEP_SIZE;

  constructor(options: TokenBucketsOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Number of keys with a bucket. */
  get size(): number {
    return this.#buckets.size;
  }

  /** Takes a token of the key. Returns false if there is none. */
  take(given: string): boolean {
    const key = given.length <= MAX_KEY_LENGTH ? given : '';
    const now = this.#now();
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      if (this.#buckets.size >= this.#sweepAt) this.#sweep(now);
      bucket = { tokens: this.#options.burst, readAt: now };
      this.#buckets.set(key, bucket);
    }
    bucket.tokens = this.#tokens(bucket, now);
    bucket.readAt = now;
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    return true;
  }

  #tokens({ readAt, tokens }: Bucket, now: number): number {
    return Math.min(this.#options.burst, tokens + (now - readAt) / this.#options.intervalMs);
  }

  /** Removes full buckets: a missing one is as good. */
  #sweep(now: number): void {
    for (const [key, bucket] of this.#buckets)
      if (this.#tokens(bucket, now) >= this.#options.burst) this.#buckets.delete(key);
    const [oldest] = this.#buckets.keys();
    if (oldest !== undefined && this.#buckets.size >= MAX_BUCKETS) this.#buckets.delete(oldest);
    this.#sweepAt = Math.min(MAX_BUCKETS, Math.max(MIN_SWEEP_SIZE, 2 * this.#buckets.size));
  }
}
