import { SESSION_WINDOW_BYTES } from '../grpc/http2-limits.ts';
import { ReceiveWindow } from './receive-window.ts';

/**
 * The data that the peer may send on a connection. What has arrived is released at once, also if
 * its stream is paused: only the windows of streams hold their senders, and streams that nobody
 * reads do not stop the others. Beyond a limit of unread data, it is released when that is read.
 */
export class SessionWindow {
  readonly #window = new ReceiveWindow('the connection', SESSION_WINDOW_BYTES);
  readonly #maxUnreadBytes: number;
  /** Data of all streams that was not read. */
  #unreadBytes = 0;
  /** Data that has arrived and is not released. */
  #keptBytes = 0;

  constructor(maxUnreadBytes: number) {
    this.#maxUnreadBytes = maxUnreadBytes;
  }

  /**
   * Records received data. Returns the number of bytes to report to the peer now, or 0.
   *
   * @throws {ConnectionError} if it is more than was allowed.
   */
  take(bytes: number): number {
    this.#window.take(bytes);
    this.#keptBytes += bytes;
    return this.#release();
  }

  /** Records that a stream holds this number of bytes more, or fewer. Returns as {@link take}. */
  hold(bytes: number): number {
    this.#unreadBytes += bytes;
    return this.#release();
  }

  #release(): number {
    if (this.#keptBytes === 0 || this.#unreadBytes > this.#maxUnreadBytes) return 0;
    const kept = this.#keptBytes;
    this.#keptBytes = 0;
    return this.#window.release(kept);
  }
}
