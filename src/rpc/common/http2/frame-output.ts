import type { Duplex } from 'node:stream';
import { ConnectionError } from './connection-error.ts';
import { FRAME_HEADER_BYTES, type FrameHeader, MAX_FRAME_BYTES, putFrameHeader } from './frame.ts';

/** Frames are joined in pieces of this size: a full one, and much that is small. */
const BLOCK_BYTES = 2 * (FRAME_HEADER_BYTES + MAX_FRAME_BYTES);
/** Longer data is sent uncopied. */
const MAX_COPIED_BYTES = 4096;
/** Limit of responses to the peer's frames that wait because it does not read. */
const MAX_WAITING_CONTROL_BYTES = 65_536;

/**
 * The frames that are sent on a connection. All frames of one iteration of the event loop are
 * written at once.
 */
export class FrameOutput {
  readonly #socket: Duplex;
  readonly #block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  #filled = 0;
  /** Pieces before the contents of the block. */
  #chunks: Uint8Array[] = [];
  #isScheduled = false;
  #isEnding = false;
  #controlBytes = 0;
  readonly #flushLater = (): void => {
    if (this.#isScheduled) this.flush();
  };

  /** @param onDrain called when the socket has taken everything, after it was full. */
  constructor(socket: Duplex, onDrain: () => void) {
    this.#socket = socket;
    socket.on('drain', () => {
      this.#controlBytes = 0;
      onDrain();
    });
  }

  /** True while data should wait, because the peer does not read. */
  get isFull(): boolean {
    return this.#socket.writableNeedDrain;
  }

  /**
   * Adds bytes.
   *
   * @param maxBytes at most those of a full frame.
   * @param put writes them, and returns the position after them.
   */
  add(maxBytes: number, put: (buffer: Buffer, at: number) => number): void {
    if (this.#filled + maxBytes > BLOCK_BYTES) this.#seal();
    this.#filled = put(this.#block, this.#filled);
    this.#schedule();
  }

  /** Adds a frame. Long payloads are sent uncopied. */
  addFrame(header: Omit<FrameHeader, 'length'>, payload: Uint8Array): void {
    const { length } = payload;
    const isCopied = length <= MAX_COPIED_BYTES;
    this.add(FRAME_HEADER_BYTES + (isCopied ? length : 0), (buffer, at) => {
      const start = putFrameHeader(buffer, at, { ...header, length });
      if (!isCopied) return start;
      buffer.set(payload, start);
      return start + length;
    });
    if (isCopied) return;
    this.#seal();
    this.#chunks.push(payload);
  }

  /**
   * Adds a frame that the peer causes.
   *
   * @throws {ConnectionError} when too many of them wait.
   */
  addControl(header: Omit<FrameHeader, 'length'>, payload: Uint8Array): void {
    this.addFrame(header, payload);
    if (!this.isFull) this.#controlBytes = 0;
    this.#controlBytes += FRAME_HEADER_BYTES + payload.length;
    if (this.#controlBytes > MAX_WAITING_CONTROL_BYTES)
      throw new ConnectionError('ENHANCE_YOUR_CALM', 'the peer does not read what it requests');
  }

  /** Writes what was added. */
  flush(): void {
    this.#isScheduled = false;
    this.#seal();
    const chunks = this.#chunks;
    if (chunks.length === 0 || this.#socket.destroyed || this.#isEnding) return;
    this.#chunks = [];
    if (chunks.length === 1) {
      this.#socket.write(chunks[0]);
      return;
    }
    this.#socket.cork();
    for (const chunk of chunks) this.#socket.write(chunk);
    this.#socket.uncork();
  }

  /** Writes the added bytes and the end. */
  end(): void {
    this.flush();
    this.#isEnding = true;
    this.#socket.end();
  }

  #seal(): void {
    if (this.#filled === 0) return;
    // A copy, as the socket may keep it for long.
    this.#chunks.push(Buffer.from(this.#block.subarray(0, this.#filled)));
    this.#filled = 0;
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#flushLater);
  }
}
