import { ConnectionError } from './connection-error.ts';
import { FRAME_HEADER_BYTES, type Frame, MAX_FRAME_BYTES, uint31 } from './frame.ts';

/**
 * Splits received bytes into frames. A frame inside one chunk is passed on as a view of it; one
 * that spans chunks is copied. At most one frame is held.
 */
export class FrameSplitter {
  readonly #onFrame: (frame: Frame) => void;
  /** The beginning of a frame that has not arrived as a whole; allocated when one is split. */
  #partial: Buffer | undefined;
  #filled = 0;
  #isStopped = false;

  /** @param onFrame may call {@link stop}. */
  constructor(onFrame: (frame: Frame) => void) {
    this.#onFrame = onFrame;
  }

  /** Ignores all further bytes, including the rest of the current chunk. */
  stop(): void {
    this.#isStopped = true;
    this.#partial = undefined;
  }

  /** @throws {ConnectionError} for a frame above the limit. Nothing can be pushed afterwards. */
  push(chunk: Buffer): void {
    let at = this.#filled > 0 ? this.#complete(chunk) : 0;
    while (!this.#isStopped && chunk.length - at >= FRAME_HEADER_BYTES) {
      const end = at + FRAME_HEADER_BYTES + payloadBytes(chunk, at);
      if (end > chunk.length) break;
      this.#pass(chunk, at, end);
      at = end;
    }
    if (!this.#isStopped && at < chunk.length) this.#hold(chunk, at, chunk.length);
  }

  /** Adds to the frame that is held until it is complete. Returns the position in the chunk. */
  #complete(chunk: Buffer): number {
    const partial = this.#buffer();
    let at = 0;
    if (this.#filled < FRAME_HEADER_BYTES) {
      at = this.#hold(chunk, 0, FRAME_HEADER_BYTES - this.#filled);
      if (this.#filled < FRAME_HEADER_BYTES) return at;
    }
    const end = FRAME_HEADER_BYTES + payloadBytes(partial, 0);
    at = this.#hold(chunk, at, at + end - this.#filled);
    if (this.#filled < end) return at;
    this.#filled = 0;
    this.#pass(Buffer.from(partial.subarray(0, end)), 0, end);
    return at;
  }

  /** Copies a part of a chunk, or as much as the chunk has. Returns the position after it. */
  #hold(chunk: Buffer, from: number, to: number): number {
    const copied = chunk.copy(this.#buffer(), this.#filled, from, Math.min(to, chunk.length));
    this.#filled += copied;
    return from + copied;
  }

  #buffer(): Buffer {
    this.#partial ??= Buffer.allocUnsafeSlow(FRAME_HEADER_BYTES + MAX_FRAME_BYTES);
    return this.#partial;
  }

  #pass(buffer: Buffer, at: number, end: number): void {
    this.#onFrame({
      type: buffer[at + 3] ?? 0,
      flags: buffer[at + 4] ?? 0,
      streamId: uint31(buffer, at + 5),
      payload: buffer.subarray(at + FRAME_HEADER_BYTES, end),
    });
  }
}

/** Returns the length in a frame's header. */
function payloadBytes(buffer: Buffer, at: number): number {
  const length = buffer.readUIntBE(at, 3);
  if (length > MAX_FRAME_BYTES)
    throw new ConnectionError('FRAME_SIZE_ERROR', `a frame of ${length} bytes is too large`);
  return length;
}
