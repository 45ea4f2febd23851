/** A job that may run later; its key keeps it from being queued twice. */
export interface BackgroundJob {
  readonly key: string;
  readonly run: (signal: AbortSignal) => Promise<void>;
  /** Called when the job throws, except during the shutdown of the queue. */
  readonly onError: (error: unknown) => void;
}

/**
 * Runs jobs for which nothing waits, a few at a time, in the order in which they were added.
 * Disposing aborts the running ones, drops the others, and waits.
 */
export class BackgroundQueue implements AsyncDisposable {
  readonly #maxRunning: number;
  readonly #maxWaiting: number;
  readonly #ending = new AbortController();
  readonly #waiting = new Map<string, BackgroundJob>();
  readonly #running = new Map<string, Promise<void>>();

  constructor(limits: { readonly maxRunning: number; readonly maxWaiting: number }) {
    this.#maxRunning = limits.maxRunning;
    this.#maxWaiting = limits.maxWaiting;
  }

  /** Reports whether a job can start immediately. */
  get startsAtOnce(): boolean {
    return this.#running.size < this.#maxRunning;
  }

  /** Reports whether a job would be refused because too many are waiting. */
  get isFull(): boolean {
    return this.#waiting.size >= this.#maxWaiting;
  }

  /** Adds a job. @returns false if there is one with its key, or too many are waiting. */
  add(job: BackgroundJob): boolean {
    const isKnown = this.#waiting.has(job.key) || this.#running.has(job.key);
    if (isKnown || this.#ending.signal.aborted || this.isFull) return false;
    this.#waiting.set(job.key, job);
    this.#start();
    return true;
  }

  #start(): void {
    for (const job of this.#waiting.values()) {
      if (this.#running.size >= this.#maxRunning) return;
      this.#waiting.delete(job.key);
      this.#running.set(job.key, this.#run(job));
    }
  }

  async #run({ key, run, onError }: BackgroundJob): Promise<void> {
    const { signal } = this.#ending;
    try {
      await run(signal);
    } catch (error) {
      if (!signal.aborted) onError(error);
    } finally {
      this.#running.delete(key);
      this.#start();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    this.#waiting.clear();
    await Promise.all(this.#running.values());
  }
}
