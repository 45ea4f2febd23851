import { setTimeout as delay } from 'node:timers/promises';
import { ARRIVAL_MS } from './connection-limits.ts';

/**
 * Connections that have been accepted and that no gRPC server has yet, because their first request
 * is awaited. In a drain each of them is passed on, so that its client gets a GOAWAY: a client that
 * only sees the end of the connection cannot know whether a request that it has just sent was
 * processed.
 */
export class Arrivals {
  readonly #pending = new Set<Promise<void>>();
  readonly #listeners = new Set<() => void>();
  #isDraining = false;

  /** @param decided resolves when the connection has been passed on, or is gone. */
  add(decided: Promise<void>): void {
    this.#pending.add(decided);
    void decided.then(() => this.#pending.delete(decided));
  }

  /** Calls back in a drain, at once if it has begun. Dispose the result when that is not needed. */
  onDrain(listener: () => void): Disposable {
    if (this.#isDraining) listener();
    else this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** Passes on all connections, new ones after their handshake. Waits for those, for a short time. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    for (const listener of [...this.#listeners]) listener();
    this.#listeners.clear();
    const limit = new AbortController();
    const late = delay(ARRIVAL_MS, undefined, limit).catch(() => undefined);
    await Promise.race([Promise.all(this.#pending), late]);
    limit.abort();
  }
}
