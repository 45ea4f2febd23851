import { Flag, FRAME_HEADER_BYTES, MAX_FRAME_BYTES } from '#rpc/common/http2/frame';

/** A frame of HTTP/2 (RFC 9113, section 4.1). */
export interface Http2Frame {
  readonly type: number;
  readonly flags: number;
  /** The whole frame with its header of nine bytes; may be changed. */
  readonly bytes: Buffer;
}

const PRIORITY_BYTES = 5;

/** Splits the bytes that a client sends after its preface into frames. */
export class FrameScanner {
  #pending: Buffer = Buffer.alloc(0);

  /** Bytes of a frame that is not whole yet. */
  get pending(): Buffer {
    return this.#pending;
  }

  /**
   * Adds bytes and returns the frames that are now complete.
   *
   * @throws {Error} for a frame above the protocol's limit: the bytes after it cannot be parsed.
   */
  add(bytes: Buffer): Http2Frame[] {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    const frames: Http2Frame[] = [];
    while (this.#pending.length >= FRAME_HEADER_BYTES) {
      const payloadBytes = this.#pending.readUIntBE(0, 3);
      if (payloadBytes > MAX_FRAME_BYTES) throw new Error(`frame of ${payloadBytes} bytes`);
      const end = FRAME_HEADER_BYTES + payloadBytes;
      if (this.#pending.length < end) break;
      const frame = this.#pending.subarray(0, end);
      frames.push({ type: frame.readUInt8(3), flags: frame.readUInt8(4), bytes: frame });
      this.#pending = this.#pending.subarray(end);
    }
    return frames;
  }
}

/** Returns the part of a HEADERS frame that HPACK has written; shares the memory of the frame. */
export function headerBlock({ flags, bytes }: Http2Frame): Buffer {
  const isPadded = (flags & Flag.PADDED) !== 0;
  const padding = isPadded ? (bytes[FRAME_HEADER_BYTES] ?? 0) : 0;
  const start = FRAME_HEADER_BYTES + Number(isPadded) + ((flags & Flag.PRIORITY) === 0 ? 0 : PRIORITY_BYTES);
  return bytes.subarray(start, Math.max(start, bytes.length - padding));
}
