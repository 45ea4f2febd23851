/** Why a caller did not get its turn; label `reason` of Gitaly's metric. */
export const LIMIT_REASONS = ['max_size', 'max_time', 'other'] as const;

export type LimitReason = (typeof LIMIT_REASONS)[number];

/** A caller was refused, or left while it waited. */
export class LimitRefusal extends Error {
  override readonly name = 'LimitRefusal';
  readonly reason: LimitReason;

  constructor(reason: LimitReason, message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
  }
}

export interface KeyedLimitOptions {
  /** Holders for each key at once. */
  readonly maxConcurrency: number;
  /** Callers that may wait for each key; 0 for any number. */
  readonly maxQueueSize: number;
  /** Longest wait; 0 for any. */
  readonly maxWaitMs: number;
}

/** A turn. `release` gives it back; only the first call counts. */
export interface Turn {
  readonly waitedMs: number;
  release(): void;
}

/** A limit of how many callers hold the same key at once. */
export interface CallersLimit {
  readonly maxConcurrency: number;
  /** Callers that hold or wait for a key. */
  callers(key: string): { readonly holders: number; readonly waiting: number };
  /** Yields the keys with holders. */
  entries(): Iterable<{ readonly key: string; readonly holders: number; readonly waiting: number }>;
  /** Returns a turn if there is one now. */
  take(key: string): Turn | undefined;
  /**
   * Waits for a turn.
   *
   * @param onWait is called if there is none at once.
   * @throws {LimitRefusal}
   */
  acquire(key: string, signal: AbortSignal, onWait?: () => void): Promise<Turn>;
}

/** Returns the refusal of a caller that no longer waits. */
export function abortedWait(signal: AbortSignal): LimitRefusal {
  const reason: unknown = signal.reason;
  const text = reason instanceof Error ? reason.message : String(reason);
  return new LimitRefusal('other', `unexpected error when dequeueing request: ${text}`, reason);
}

interface Key {
  holders: number;
  /** In order of arrival. */
  readonly waiting: Set<() => void>;
}

/**
 * Limits how many callers hold the same key at once; others wait in the order in which they came.
 * Keys without a holder cost nothing.
 */
export class KeyedLimit implements CallersLimit {
  readonly #options: KeyedLimitOptions;
  readonly #keys = new Map<string, Key>();
  #maxConcurrency: number;

  constructor(options: KeyedLimitOptions) {
    this.#options = options;
    this.#maxConcurrency = options.maxConcurrency;
  }

  get maxConcurrency(): number {
    return this.#maxConcurrency;
  }

  /**
   * Changes the number of holders for each key. Holders above a lowered limit keep their turn; no
   * new ones start.
   */
  resize(maxConcurrency: number): void {
    this.#maxConcurrency = maxConcurrency;
    for (const entry of this.#keys.values()) this.#serve(entry);
  }

  callers(key: string): { readonly holders: number; readonly waiting: number } {
    const entry = this.#keys.get(key);
    return { holders: entry?.holders ?? 0, waiting: entry?.waiting.size ?? 0 };
  }

  *entries(): Generator<{ key: string; holders: number; waiting: number }> {
    for (const [key, { holders, waiting }] of this.#keys) yield { key, holders, waiting: waiting.size };
  }

  take(key: string): Turn | undefined {
    const entry = this.#entry(key);
    if (entry.holders >= this.#maxConcurrency) return undefined;
    entry.holders++;
    return this.#turn(key, entry, 0);
  }

  async acquire(key: string, signal: AbortSignal, onWait?: () => void): Promise<Turn> {
    const turn = this.take(key);
    if (turn !== undefined) return turn;
    const { maxQueueSize } = this.#options;
    const entry = this.#entry(key);
    if (maxQueueSize > 0 && entry.waiting.size >= maxQueueSize)
      throw new LimitRefusal('max_size', 'maximum queue size reached');
    onWait?.();
    const startedAt = performance.now();
    await this.#wait(entry, signal);
    return this.#turn(key, entry, performance.now() - startedAt);
  }

  #entry(key: string): Key {
    const existing = this.#keys.get(key);
    if (existing !== undefined) return existing;
    const entry: Key = { holders: 0, waiting: new Set() };
    this.#keys.set(key, entry);
    return entry;
  }

  async #wait(entry: Key, signal: AbortSignal): Promise<void> {
    const { maxWaitMs } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const go = (): void => resolve();
    const leave = (refusal: LimitRefusal): void => {
      if (entry.waiting.delete(go)) reject(refusal);
    };
    const onAbort = (): void => leave(abortedWait(signal));
    const timer =
      maxWaitMs > 0
        ? setTimeout(
            () => leave(new LimitRefusal('max_time', 'maximum time in concurrency queue reached')),
            maxWaitMs,
          )
        : undefined;
    entry.waiting.add(go);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    }
  }

  #turn(key: string, entry: Key, waitedMs: number): Turn {
    let isReleased = false;
    return {
      waitedMs,
      release: () => {
        if (isReleased) return;
        isReleased = true;
        entry.holders--;
        this.#serve(entry);
        if (entry.holders === 0) this.#keys.delete(key);
      },
    };
  }

  /** Passes free turns on at once, so that no new caller overtakes. */
  #serve(entry: Key): void {
    for (const go of entry.waiting) {
      if (entry.holders >= this.#maxConcurrency) return;
      entry.waiting.delete(go);
      entry.holders++;
      go();
    }
  }
}
