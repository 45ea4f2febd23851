import type { Writable } from 'node:stream';
import { GitalyError } from '#base/gitaly-error';

/** A gRPC message on the wire: 1 byte flags (1 = compressed), 4 bytes big-endian length, the message. */
export const FRAME_PREFIX_BYTES = 5;
/** gRPC's default limit for received messages; neither Gitaly nor its clients change it. */
export const MAX_RECEIVE_MESSAGE_BYTES = 4_194_304;
/** Up to this size one copy is cheaper than several buffers on their way through the stream. */
const JOIN_BYTES = 16_384;

/**
 * Puts the prefix before an encoded message. Small messages become one buffer; of a large one every chunk of `JOIN_BYTES` or more
 * is handed on as it is, without a copy, and must not change until it is sent.
 */
export function encodeFrame(chunks: readonly Uint8Array[]): Uint8Array[] {
  const total = sizeOf(chunks);
  if (total <= JOIN_BYTES) return [join(prefixed(total, total), chunks)];

  const small: Uint8Array[] = [];
  let index = 0;
  for (; index < chunks.length; index++) {
    const chunk = chunks[index];
    if (chunk === undefined || chunk.length >= JOIN_BYTES || sizeOf(small) + chunk.length > JOIN_BYTES) break;
    small.push(chunk);
  }
  return [join(prefixed(total, sizeOf(small)), small), ...chunks.slice(index)];
}

/** Writes a frame as one unit. False means: wait for `drain` before the next one. */
export function writeFrame(stream: Writable, frame: readonly Uint8Array[]): boolean {
  if (frame.length === 1) return stream.write(frame[0]);
  stream.cork();
  let hasRoom = true;
  for (const chunk of frame) hasRoom = stream.write(chunk);
  stream.uncork();
  return hasRoom;
}

/** Sum of the lengths. */
export function sizeOf(chunks: readonly Uint8Array[]): number {
  let total = 0;
  for (const chunk of chunks) total += chunk.length;
  return total;
}

function prefixed(messageBytes: number, roomBytes: number): Buffer {
  const buffer = Buffer.allocUnsafe(FRAME_PREFIX_BYTES + roomBytes);
  buffer[0] = 0;
  buffer.writeUInt32BE(messageBytes, 1);
  return buffer;
}

function join(buffer: Buffer, chunks: readonly Uint8Array[]): Buffer {
  let offset = FRAME_PREFIX_BYTES;
  for (const chunk of chunks) {
    buffer.set(chunk, offset);
    offset += chunk.length;
  }
  return buffer;
}

/**
 * Cuts a byte stream into messages. A message inside of one chunk is handed out as a view on it; only one that spans chunks is
 * copied, once. Memory in use is what has arrived, whatever the prefix promises.
 */
export class FrameReader {
  readonly #maxBytes: number;
  readonly #onMessage: (payload: Buffer, isCompressed: boolean) => void;
  #parts: Buffer[] = [];
  #bufferedBytes = 0;
  /** Prefix and message together, once the prefix is complete. */
  #neededBytes = FRAME_PREFIX_BYTES;

  constructor(maxBytes: number, onMessage: (payload: Buffer, isCompressed: boolean) => void) {
    this.#maxBytes = maxBytes;
    this.#onMessage = onMessage;
  }

  /** True between the first byte of a frame and its last. */
  get isInsideFrame(): boolean {
    return this.#bufferedBytes > 0;
  }

  /**
   * Takes the next bytes; calls `onMessage` for every message that they complete.
   * @throws {GitalyError} RESOURCE_EXHAUSTED for a message above the limit, INTERNAL for an unknown flag; texts of grpc-go. The
   *   reader is of no use afterwards.
   */
  push(chunk: Buffer): void {
    let rest = chunk;
    if (this.#bufferedBytes > 0) {
      this.#parts.push(chunk);
      this.#bufferedBytes += chunk.length;
      if (this.#bufferedBytes < this.#neededBytes) return;
      if (this.#neededBytes === FRAME_PREFIX_BYTES) {
        this.#collapse();
        this.#neededBytes += this.#messageBytes(this.#parts[0] ?? chunk, 0);
        if (this.#bufferedBytes < this.#neededBytes) return;
      }
      rest = this.#collapse();
      this.#parts = [];
      this.#bufferedBytes = 0;
      this.#neededBytes = FRAME_PREFIX_BYTES;
    }
    this.#cut(rest);
  }

  /** Joins what is buffered into one part. */
  #collapse(): Buffer {
    const [first] = this.#parts;
    const whole = this.#parts.length === 1 && first !== undefined ? first : Buffer.concat(this.#parts, this.#bufferedBytes);
    this.#parts = [whole];
    return whole;
  }

  #cut(chunk: Buffer): void {
    let offset = 0;
    while (chunk.length - offset >= FRAME_PREFIX_BYTES) {
      const end = offset + FRAME_PREFIX_BYTES + this.#messageBytes(chunk, offset);
      if (end > chunk.length) {
        this.#neededBytes = end - offset;
        break;
      }
      const isCompressed = chunk[offset] === 1;
      const payload = chunk.subarray(offset + FRAME_PREFIX_BYTES, end);
      offset = end;
      this.#onMessage(payload, isCompressed);
    }
    if (offset === chunk.length) return;
    this.#parts.push(offset === 0 ? chunk : chunk.subarray(offset));
    this.#bufferedBytes = chunk.length - offset;
  }

  #messageBytes(buffer: Buffer, offset: number): number {
    const flags = buffer[offset] ?? 0;
    if (flags > 1) throw new GitalyError('INTERNAL', `grpc: received unexpected payload format ${flags}`);
    const length = buffer.readUInt32BE(offset + 1);
    if (length > this.#maxBytes) {
      throw new GitalyError('RESOURCE_EXHAUSTED', `grpc: received message larger than max (${length} vs. ${this.#maxBytes})`);
    }
    return length;
  }
}
