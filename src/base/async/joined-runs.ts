/** Runs that wait for the one before. */
interface Next<Value> {
  callers: number;
  readonly result: PromiseWithResolvers<Value>;
  start(): void;
}

interface Entry<Value> {
  next: Next<Value> | undefined;
}

/** Does the work of several callers at once. */
type Work<Value> = (callers: number) => Promise<Value>;

export interface JoinedRunsOptions {
  /** Time after which callers no longer wait for a run that has started before. */
  readonly maxWaitMs: number;
}

/**
 * Does equal work for several callers at once. While work for a key runs, further callers with this
 * key wait for it and then share one run, which begins after all of them have come. So each caller
 * gets the result of work that began after its call.
 */
export class JoinedRuns<Value> {
  readonly #maxWaitMs: number;
  readonly #entries = new Map<string, Entry<Value>>();

  constructor({ maxWaitMs }: JoinedRunsOptions) {
    this.#maxWaitMs = maxWaitMs;
  }

  /** Returns the result of the work, or of equal work of another caller. @throws what it throws. */
  run(key: string, work: Work<Value>): Promise<Value> {
    const entry = this.#entries.get(key);
    if (entry === undefined) return this.#start(key, work, 1);
    entry.next ??= this.#waiting(key, entry, work);
    entry.next.callers++;
    return entry.next.result.promise;
  }

  async #start(key: string, work: Work<Value>, callers: number): Promise<Value> {
    const entry: Entry<Value> = { next: undefined };
    this.#entries.set(key, entry);
    try {
      return await work(callers);
    } finally {
      if (entry.next !== undefined) entry.next.start();
      else if (this.#entries.get(key) === entry) this.#entries.delete(key);
    }
  }

  #waiting(key: string, entry: Entry<Value>, work: Work<Value>): Next<Value> {
    const result = Promise.withResolvers<Value>();
    const next: Next<Value> = {
      callers: 0,
      result,
      start: () => {
        clearTimeout(timer);
        entry.next = undefined;
        result.resolve(this.#start(key, work, next.callers));
      },
    };
    const timer = setTimeout(() => next.start(), this.#maxWaitMs);
    return next;
  }
}
