import { ConnectionError } from './connection-error.ts';

/** The data that the peer may send on a stream or a connection. */
export class ReceiveWindow {
  readonly #of: string;
  readonly #maxBytes: number;
  #leftBytes: number;
  /** Data that is no longer held, and not yet reported to the peer. */
  #releasedBytes = 0;

  /** Creates a window. @param of names it in errors: `a stream`. */
  constructor(of: string, maxBytes: number) {
    this.#of = of;
    this.#maxBytes = maxBytes;
    this.#leftBytes = maxBytes;
  }

  /** Records received data. @throws {ConnectionError} if it is more than was allowed. */
  take(bytes: number): void {
    this.#leftBytes -= bytes;
    if (this.#leftBytes < 0)
      throw new ConnectionError('FLOW_CONTROL_ERROR', `more data than the window of ${this.#of}`);
  }

  /**
   * Records that data is no longer held. Returns the number of bytes to report to the peer now, or
   * 0.
   */
  release(bytes: number): number {
    this.#releasedBytes += bytes;
    if (this.#releasedBytes < this.#maxBytes / 2) return 0;
    const released = this.#releasedBytes;
    this.#releasedBytes = 0;
    this.#leftBytes += released;
    return released;
  }
}
