import { ARRIVAL_MS } from './connection-limits.ts';

/**
 * Connections that have been accepted and that no gRPC server has yet, because their first request
 * is awaited. In a drain each of them is passed on, so that its client gets a GOAWAY: a client that
 * only sees the end of the connection cannot know whether a request that it has just sent was
 * processed.
 */
export class Arrivals {
  /** Bytes that are kept for all of them until they are passed on. */
  keptBytes = 0;
  #pending = 0;
  readonly #listeners = new Set<() => void>();
  #isDraining = false;
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

  /**
   * Calls back in a drain, at once if it has started. Dispose the result when that is not needed.
   */
  onDrain(listener: () => void): Disposable {
    if (this.#isDraining) listener();
    else this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** Passes on all connections, new ones after their handshake. Waits for those, for a short time. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    for (const listener of this.#listeners) listener();
    if (this.#pending === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onLast = resolve;
    const timer = setTimeout(resolve, ARRIVAL_MS);
    await promise;
    clearTimeout(timer);
  }
}
