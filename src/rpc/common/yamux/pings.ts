import { YamuxError } from './yamux-error.ts';

interface Pending {
  readonly resolve: (roundTripMs: number) => void;
  readonly reject: (error: Error) => void;
  readonly sentAt: number;
  readonly timer: NodeJS.Timeout;
}

/** Pings that wait for their response. */
export class Pings {
  readonly #send: (value: number) => void;
  readonly #timeoutMs: number;
  readonly #pending = new Map<number, Pending>();
  #nextValue = 0;

  /** Creates the list. `send` writes a ping with this value. */
  constructor(send: (value: number) => void, timeoutMs: number) {
    this.#send = send;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Returns the round trip in milliseconds. @throws {YamuxError} `ping-timeout`, or the error given
   * to `fail`
   */
  async ping(): Promise<number> {
    const value = this.#nextValue;
    this.#nextValue = (value + 1) >>> 0;
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const timer = setTimeout(() => {
      this.#pending.delete(value);
      reject(new YamuxError('ping-timeout', 'ping timeout'));
    }, this.#timeoutMs).unref();
    this.#pending.set(value, { resolve, reject, timer, sentAt: performance.now() });
    this.#send(value);
    return await promise;
  }

  /** Handles a response. An unexpected one is ignored. */
  answered(value: number): void {
    const ping = this.#pending.get(value);
    if (ping === undefined) return;
    this.#pending.delete(value);
    clearTimeout(ping.timer);
    ping.resolve(performance.now() - ping.sentAt);
  }

  /** Fails all pings: no further response can arrive. */
  fail(error: Error): void {
    for (const { timer, reject } of this.#pending.values()) {
      clearTimeout(timer);
      reject(error);
    }
    this.#pending.clear();
  }
}
