import { Duplex } from 'node:stream';
import { FLAG, FRAME_TYPE, INITIAL_WINDOW_BYTES, MAX_WINDOW_BYTES } from './frame.ts';
import type { FrameSource, FrameWriter } from './frame-writer.ts';
import { ReceiveQueue } from './receive-queue.ts';
import type { YamuxSettings } from './settings.ts';
import { YamuxError } from './yamux-error.ts';

/**
 * Maximum payload of one frame that we send, so that a stream with a huge write does not block the
 * others.
 */
const MAX_FRAME_BYTES = 64 * 1024;

/** Bytes that Node buffers on each side of the stream before the windows. */
const HIGH_WATER_MARK_BYTES = 64 * 1024;

type Done = (error?: Error | null) => void;

/** The part of a session that a stream uses. */
export interface StreamHost {
  readonly writer: FrameWriter;
  readonly settings: YamuxSettings;
  /** Frees the id: both sides have sent FIN, or one has sent RST. */
  release(stream: YamuxStream): void;
  /** Marks the stream as draining: it only waits for the peer's FIN. */
  startDraining(): void;
}

/**
 * One stream of a session: an ordinary Duplex.
 *
 * - `end()` sends everything, then one FIN. Reading continues until the peer's FIN. (Go peers may
 *   discard data that arrives after *their* close, so protocols above frame their half close
 *   themselves.) If the peer's FIN does not arrive within `streamCloseTimeoutMs`, the stream is
 *   reset.
 * - `destroy()` works as for a socket. If everything written has been sent, the peer gets a FIN and
 *   reads all of it, and incoming data is discarded. Otherwise, or with an error before the peer
 *   has finished, it sends RST, and the peer loses unread data.
 * - After `abandon()`, `destroy()` sends a FIN in any case: for a peer that needs no more data.
 * - A write's callback is called when the connection has accepted the bytes; the buffer may then be
 *   reused.
 * - Unread bytes are bounded by `maxStreamWindowBytes`: the window is granted again only as the
 *   application reads.
 *
 * Errors are {@link YamuxError}. A stream without listeners throws nothing.
 */
export class YamuxStream extends Duplex implements FrameSource {
  readonly id: number;
  readonly #host: StreamHost;
  readonly #received = new ReceiveQueue();
  #sendWindow = INITIAL_WINDOW_BYTES;
  #receiveWindow = INITIAL_WINDOW_BYTES;
  /** True when our SYN or ACK is sent. Before that the peer has only the initial window. */
  #isAnnounced = false;
  #isGrantPlanned = false;
  #hasSentFin = false;
  #isAbandoned = false;
  #hasReceivedFin = false;
  /** True when no frame may be sent any more: after a reset or the end of the session. */
  #isDetached = false;
  #detachError: Error | undefined;
  #closeTimer: NodeJS.Timeout | undefined;
  #outgoing: readonly Buffer[] = [];
  #outgoingIndex = 0;
  #outgoingOffset = 0;
  #outgoingBytes = 0;
  #outgoingDone: Done | undefined;
  /** Bytes given to the connection that it has not accepted yet. */
  #inFlightBytes = 0;
  #inFlightDone: Done | undefined;

  /** Creates a stream for `session.open()` and `session.accept()`. */
  constructor(host: StreamHost, id: number) {
    super({ highWaterMark: HIGH_WATER_MARK_BYTES });
    this.#host = host;
    this.id = id;
    // A reset by the peer must not end the process for lack of a listener. Readers, writers and
    // pipelines still receive the error.
    this.on('error', () => {});
  }

  // ---- for the session ----

  /**
   * Sends the frame that opens (SYN) or accepts (ACK) the stream and grants our window beyond the
   * initial one.
   */
  announce(flag: number): void {
    if (this.#isDetached) return;
    this.#isAnnounced = true;
    const delta = this.#windowDelta();
    this.#receiveWindow += delta;
    this.#host.writer.control(FRAME_TYPE.windowUpdate, flag, this.id, delta);
  }

  /** Enlarges the send window. @throws {YamuxError} when the sum exceeds the maximum. */
  grow(delta: number): void {
    if (this.#sendWindow + delta > MAX_WINDOW_BYTES) throw new YamuxError('protocol', 'send window overflow');
    const wasClosed = this.#sendWindow === 0;
    this.#sendWindow += delta;
    if (wasClosed && this.#outgoingDone !== undefined) this.#host.writer.pump(this);
  }

  /**
   * Announces a data frame of `length` bytes. @throws {YamuxError} when it exceeds the window or
   * follows a FIN.
   */
  expect(length: number): void {
    if (length === 0) return;
    if (this.#hasReceivedFin) throw new YamuxError('protocol', 'data after FIN');
    if (length > this.#receiveWindow) throw new YamuxError('protocol', 'recv window exceeded');
  }

  /** Receives payload of the frame that `expect` announced. */
  receive(piece: Buffer): void {
    if (this.destroyed) return;
    this.#receiveWindow -= piece.length;
    if (this.#received.bytes === 0 && this.readableLength < this.readableHighWaterMark) this.push(piece);
    else this.#received.push(piece);
    this.#grant();
  }

  /** Handles the peer's FIN. @throws {YamuxError} for a second one. */
  receiveFin(): void {
    if (this.#hasReceivedFin) throw new YamuxError('protocol', 'unexpected FIN flag');
    this.#hasReceivedFin = true;
    if (!this.destroyed && this.#received.bytes === 0) this.push(null);
    this.#releaseWhenDone();
  }

  /** Handles the peer's RST. */
  receiveReset(): void {
    this.#detach();
    this.#host.release(this);
    this.destroy(new YamuxError('stream-reset', 'connection reset'));
  }

  /**
   * Handles the end of the session. A stream with the peer's FIN may still be read to its end; its
   * writes fail.
   */
  sessionEnded(error: Error): void {
    this.#detach();
    this.#detachError = error;
    const done = this.#outgoingDone;
    this.#outgoingDone = undefined;
    done?.(error);
    if (!this.#hasReceivedFin || this.readableEnded) this.destroy(error);
    else this.once('end', () => this.destroy(error));
  }

  get hasSentFin(): boolean {
    return this.#hasSentFin;
  }

  /**
   * Reports whether our FIN is sent and there is no reader, so that incoming data is discarded.
   */
  get isLingering(): boolean {
    return this.destroyed && this.#hasSentFin;
  }

  sendFrame(): boolean {
    const done = this.#outgoingDone;
    if (done === undefined || this.#sendWindow === 0) return false;
    const pieces: Buffer[] = [];
    const limit = Math.min(this.#sendWindow, MAX_FRAME_BYTES);
    let length = 0;
    let next = this.#outgoing[this.#outgoingIndex];
    while (next !== undefined && length < limit) {
      const end = Math.min(next.length, this.#outgoingOffset + limit - length);
      if (end > this.#outgoingOffset)
        pieces.push(
          end - this.#outgoingOffset === next.length ? next : next.subarray(this.#outgoingOffset, end),
        );
      length += end - this.#outgoingOffset;
      this.#outgoingOffset = end;
      if (end === next.length) {
        this.#outgoingIndex += 1;
        this.#outgoingOffset = 0;
        next = this.#outgoing[this.#outgoingIndex];
      }
    }
    this.#sendWindow -= length;
    if (next !== undefined) {
      this.#host.writer.data(this.id, pieces, length);
      return this.#sendWindow > 0;
    }
    this.#outgoing = [];
    this.#outgoingDone = undefined;
    if (length === 0) {
      done();
      return false;
    }
    this.#inFlightBytes = this.#outgoingBytes;
    this.#inFlightDone = done;
    this.#host.writer.data(this.id, pieces, length, this.#onSent);
    return false;
  }

  // ---- Duplex ----

  override _read(): void {
    for (let piece = this.#received.shift(); piece !== undefined; piece = this.#received.shift()) {
      if (!this.push(piece)) break;
    }
    if (this.#hasReceivedFin && this.#received.bytes === 0) this.push(null);
    // Node requests more data before it removes the bytes that it is about to return, so the unread
    // bytes are counted afterwards.
    if (!this.#isGrantPlanned) process.nextTick(this.#plannedGrant);
    this.#isGrantPlanned = true;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#send([chunk], done);
  }

  override _writev(items: { chunk: Buffer }[], done: Done): void {
    this.#send(
      items.map((item) => item.chunk),
      done,
    );
  }

  override _final(done: Done): void {
    if (this.#isDetached) {
      done(this.#detachError);
      return;
    }
    this.#sendFin();
    done();
  }

  /** Makes `destroy()` drop unsent data without a reset. */
  abandon(): void {
    this.#isAbandoned = true;
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#host.writer.drop(this);
    this.#received.clear();
    const unsent = this.#outgoingDone;
    this.#outgoingDone = undefined;
    if (!this.#isDetached) {
      const hasAllLeft = unsent === undefined && this.writableLength === this.#inFlightBytes;
      const endsProperly = hasAllLeft && (error === null || this.#hasReceivedFin);
      if (!this.#hasSentFin && (endsProperly || this.#isAbandoned)) this.#sendFin();
      if (this.#hasSentFin) this.#host.startDraining();
      else this.#reset();
    }
    unsent?.(error ?? new YamuxError('stream-reset', 'stream closed'));
    done(error);
  }

  #send(chunks: readonly Buffer[], done: Done): void {
    if (this.#isDetached) {
      done(this.#detachError ?? new YamuxError('session-closed', 'session shutdown'));
      return;
    }
    this.#outgoing = chunks;
    this.#outgoingIndex = 0;
    this.#outgoingOffset = 0;
    this.#outgoingBytes = this.writableLength;
    this.#outgoingDone = done;
    this.#host.writer.pump(this);
  }

  readonly #onSent = (error?: Error | null): void => {
    const done = this.#inFlightDone;
    this.#inFlightDone = undefined;
    this.#inFlightBytes = 0;
    done?.(error);
  };

  #sendFin(): void {
    this.#hasSentFin = true;
    this.#host.writer.control(FRAME_TYPE.windowUpdate, FLAG.fin, this.id, 0);
    if (!this.#hasReceivedFin)
      this.#closeTimer = setTimeout(this.#onCloseTimeout, this.#host.settings.streamCloseTimeoutMs).unref();
    this.#releaseWhenDone();
  }

  #windowDelta(): number {
    return (
      this.#host.settings.maxStreamWindowBytes -
      this.readableLength -
      this.#received.bytes -
      this.#receiveWindow
    );
  }

  readonly #plannedGrant = (): void => {
    this.#isGrantPlanned = false;
    this.#grant();
  };

  /**
   * Grants more window. Hashicorp's rule: nothing below half of the maximum, so that updates are
   * rare.
   */
  #grant(): void {
    if (!this.#isAnnounced || this.#hasReceivedFin || this.#isDetached || this.destroyed) return;
    const delta = this.#windowDelta();
    if (delta < this.#host.settings.maxStreamWindowBytes / 2) return;
    this.#receiveWindow += delta;
    this.#host.writer.control(FRAME_TYPE.windowUpdate, 0, this.id, delta);
  }

  readonly #onCloseTimeout = (): void => {
    if (this.#isDetached) return;
    this.#reset();
    this.destroy(new YamuxError('stream-close-timeout', 'stream close timeout'));
  };

  #reset(): void {
    this.#host.writer.control(FRAME_TYPE.windowUpdate, FLAG.rst, this.id, 0);
    this.#detach();
    this.#host.release(this);
  }

  #releaseWhenDone(): void {
    if (!this.#hasSentFin || !this.#hasReceivedFin) return;
    this.#detach();
    this.#host.release(this);
  }

  #detach(): void {
    this.#isDetached = true;
    clearTimeout(this.#closeTimer);
    this.#host.writer.drop(this);
  }
}
