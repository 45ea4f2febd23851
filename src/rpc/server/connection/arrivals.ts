import { waitAtMost } from '#base/async/wait-at-most';
import { ARRIVAL_MS } from './connection-limits.ts';

/**
 * Connections that have been accepted and that no gRPC server has yet, because their first request
 * is awaited. A drain waits for them: a client that only sees the end of the connection, without a
 * GOAWAY, cannot know whether a request that it has just sent was processed.
 */
export class Arrivals {
  /** Bytes that are kept for all connections until they are passed on. */
  keptBytes = 0;
  #pending = 0;
  /** Set while a drain waits. */
  #onLast: (() => void) | undefined;

  /** @param decided resolves when the connection has been passed on, or is gone. */
  add(decided: Promise<void>): void {
    this.#pending++;
    void decided.then(() => {
      this.#pending--;
      if (this.#pending === 0) this.#onLast?.();
    });
  }

  /** Waits until all have been passed on, for a short time. */
  async drain(): Promise<void> {
    if (this.#pending === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onLast = resolve;
    await waitAtMost(promise, ARRIVAL_MS);
  }
}
