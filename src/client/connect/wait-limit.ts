import { timeLeftMs } from '#base/async/time-left';
import { MAX_TIMER_MS } from '#base/async/timer-ms';
import { GitalyError } from '#base/gitaly-error';

/**
 * Ends a wait early: on the caller's signal, at a deadline, or by `end`. It is for waits before a
 * call is sent; its errors are those of a sent call.
 */
export class WaitLimit {
  readonly #abort = new AbortController();
  readonly #signal: AbortSignal | undefined;
  readonly #deadline: Date | undefined;

  constructor(options: { signal: AbortSignal | undefined; deadline: Date | undefined }) {
    this.#signal = options.signal;
    this.#deadline = options.deadline;
  }

  end(reason: GitalyError): void {
    this.#abort.abort(reason);
  }

  /**
   * Runs `work` within the limit. @throws {GitalyError} CANCELLED, DEADLINE_EXCEEDED or the reason
   * of `end`; the error of `work` if the limit was not reached.
   */
  async run<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const onAbort = () => this.end(cancelled(this.#signal?.reason));
    const timer = this.#deadline === undefined ? undefined : this.#endAt(this.#deadline);
    if (this.#signal?.aborted) onAbort();
    this.#signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return await work(this.#abort.signal);
    } catch (error) {
      throw this.#abort.signal.aborted ? this.#abort.signal.reason : error;
    } finally {
      clearTimeout(timer);
      this.#signal?.removeEventListener('abort', onAbort);
    }
  }

  #endAt(deadline: Date): NodeJS.Timeout | undefined {
    const leftMs = timeLeftMs(deadline.getTime(), Date.now());
    if (leftMs > MAX_TIMER_MS) return undefined;
    return setTimeout(
      () => this.end(new GitalyError('DEADLINE_EXCEEDED', 'context deadline exceeded')),
      leftMs,
    );
  }
}

/** Returns the error for what a signal with this reason has ended. */
export function cancelled(reason: unknown): GitalyError {
  return reason instanceof GitalyError
    ? reason
    : new GitalyError('CANCELLED', 'context canceled', { cause: reason });
}
