import { timeLeftMs } from '#base/async/time-left';
import { timerMs } from '#base/async/timer-ms';

/** The least time between the starts of two rounds that are not due yet. */
const SOON_MS = 500;

export interface CheckRoundsOptions {
  /** Runs one round. Must not reject. */
  readonly run: () => Promise<void>;
  /** Returns the time between the starts of the last round and of the next one. */
  readonly intervalMs: () => number;
  /** Default false: the first round starts after an interval. */
  readonly startsAtOnce?: boolean;
}

/**
 * Runs rounds of health checks at intervals, one at a time, or earlier after {@link soon}.
 * Disposing waits for the round that runs.
 */
export class CheckRounds implements AsyncDisposable {
  readonly #options: CheckRoundsOptions;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #startedAtMs = performance.now();
  #isSoon = false;
  #isStopped = false;
  #ended = Promise.withResolvers<void>();

  constructor(options: CheckRoundsOptions) {
    this.#options = options;
    if (options.startsAtOnce === true) this.#start();
    else this.#schedule();
  }

  /**
   * Starts the next round at once, or half a second after the start of the last one. Further calls
   * before that round have no effect. A running round may already have checked the node, so another
   * round follows it.
   */
  soon(): void {
    if (this.#isSoon) return;
    this.#isSoon = true;
    if (this.#running === undefined) this.#schedule();
  }

  /** Resolves at the end of the round that runs, or of the next one. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#isStopped) return;
    const usualMs = timerMs(this.#options.intervalMs());
    const intervalMs = this.#isSoon ? Math.min(SOON_MS, usualMs) : usualMs;
    this.#timer = setTimeout(() => this.#start(), timeLeftMs(this.#startedAtMs + intervalMs)).unref();
  }

  #start(): void {
    this.#isSoon = false;
    this.#startedAtMs = performance.now();
    this.#running = this.#options.run().finally(() => {
      this.#running = undefined;
      this.#schedule();
      const { resolve } = this.#ended;
      this.#ended = Promise.withResolvers();
      resolve();
    });
  }
}
