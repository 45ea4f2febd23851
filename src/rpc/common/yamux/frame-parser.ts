import { FRAME_TYPE, HEADER_BYTES } from './frame.ts';
import { YamuxError } from './yamux-error.ts';

export interface FrameSink {
  /**
   * Handles a header. For data frames the payload follows in `payload` calls that sum up to
   * `length`. Throws to stop the session.
   */
  frame(type: number, flags: number, streamId: number, length: number): void;
  /**
   * Handles a piece of the current data frame's payload: a view of the connection's chunk. `isLast`
   * marks the end of the frame.
   */
  payload(piece: Buffer, isLast: boolean): void;
}

/**
 * Splits the bytes of a connection into frames as they arrive, at any boundary. It copies no
 * payload and buffers at most the 11 bytes of an incomplete header.
 */
export class FrameParser {
  readonly #sink: FrameSink;
  readonly #partial = Buffer.alloc(HEADER_BYTES);
  #partialBytes = 0;
  #payloadLeft = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /**
   * Parses the next chunk. @throws {YamuxError} reason `protocol` for a wrong version or type; any
   * error of the sink.
   */
  write(chunk: Buffer): void {
    let offset = 0;
    while (offset < chunk.length) {
      if (this.#payloadLeft > 0) {
        const end = Math.min(offset + this.#payloadLeft, chunk.length);
        this.#payloadLeft -= end - offset;
        this.#sink.payload(
          offset === 0 && end === chunk.length ? chunk : chunk.subarray(offset, end),
          this.#payloadLeft === 0,
        );
        offset = end;
      } else if (this.#partialBytes === 0 && chunk.length - offset >= HEADER_BYTES) {
        this.#header(chunk, offset);
        offset += HEADER_BYTES;
      } else {
        const end = Math.min(offset + HEADER_BYTES - this.#partialBytes, chunk.length);
        this.#partialBytes += chunk.copy(this.#partial, this.#partialBytes, offset, end);
        offset = end;
        if (this.#partialBytes === HEADER_BYTES) {
          this.#partialBytes = 0;
          this.#header(this.#partial, 0);
        }
      }
    }
  }

  #header(bytes: Buffer, at: number): void {
    const version = bytes.readUInt8(at);
    if (version !== 0) throw new YamuxError('protocol', `invalid protocol version: ${version}`);
    const type = bytes.readUInt8(at + 1);
    if (type > FRAME_TYPE.goAway) throw new YamuxError('protocol', `invalid message type: ${type}`);
    const length = bytes.readUInt32BE(at + 8);
    if (type === FRAME_TYPE.data) this.#payloadLeft = length;
    this.#sink.frame(type, bytes.readUInt16BE(at + 2), bytes.readUInt32BE(at + 4), length);
  }
}
