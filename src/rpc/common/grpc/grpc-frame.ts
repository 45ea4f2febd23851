import type { Writable } from 'node:stream';
import { GitalyError } from '#base/gitaly-error';

/**
 * A gRPC message on the wire: 1 byte flags (1 = compressed), 4 bytes big-endian length, the
 * message.
 */
export const FRAME_PREFIX_BYTES = 5;
/** gRPC's default limit for received messages; neither Gitaly nor its clients change it. */
export const MAX_RECEIVE_MESSAGE_BYTES = 4_194_304;
/** Size up to which one copy is cheaper than several buffers in the stream. */
const JOIN_BYTES = 16_384;
/**
 * Length up to which memory is allocated as the prefix announces. Beyond it, memory grows with the
 * received data.
 */
const TRUSTED_BYTES = 262_144;

/**
 * Puts the prefix before an encoded message. Small messages become one buffer. Chunks of at least
 * `JOIN_BYTES` in a large message are passed on uncopied and must not change until they are sent.
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

/**
 * Writes a frame as one unit. Returns false if the caller must wait for `drain` before the next
 * one.
 *
 * @param onSent called when the stream has taken the frame, unless it fails before.
 */
export function writeFrame(stream: Writable, frame: readonly Uint8Array[], onSent?: () => void): boolean {
  const callback = onSent && ((error?: Error | null) => error ?? onSent());
  if (frame.length === 1) return stream.write(frame[0], callback);
  stream.cork();
  let isWritable = true;
  for (const [index, chunk] of frame.entries())
    isWritable = stream.write(chunk, index === frame.length - 1 ? callback : undefined);
  stream.uncork();
  return isWritable;
}

/** Returns the sum of the lengths. */
export function sizeOf(chunks: readonly Uint8Array[]): number {
  let total = 0;
  for (const chunk of chunks) total += chunk.length;
  return total;
}

/** Writes a frame with a copy of an encoded message. Returns the position after it. */
export function putFrame(buffer: Buffer, at: number, message: Uint8Array): number {
  buffer[at] = 0;
  buffer.writeUInt32BE(message.length, at + 1);
  buffer.set(message, at + FRAME_PREFIX_BYTES);
  return at + FRAME_PREFIX_BYTES + message.length;
}

function prefixed(messageBytes: number, capacityBytes: number): Buffer {
  const buffer = Buffer.allocUnsafe(FRAME_PREFIX_BYTES + capacityBytes);
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
 * Splits a byte stream into messages. A message inside one chunk is returned as a view of it. A
 * message that spans chunks is copied once, as the chunks arrive, so that the network's buffers are
 * freed. Memory use follows the received data, not the length in a prefix.
 */
export class FrameReader {
  readonly #maxBytes: number;
  readonly #onMessage: (payload: Buffer, isCompressed: boolean) => void;
  /** A prefix that is split between chunks; allocated on first use. */
  #prefix: Buffer | undefined;
  #prefixBytes = 0;
  /** The message that is being assembled. */
  #message: { isCompressed: boolean; bytes: Buffer; filled: number; readonly length: number } | undefined;

  constructor(maxBytes: number, onMessage: (payload: Buffer, isCompressed: boolean) => void) {
    this.#maxBytes = maxBytes;
    this.#onMessage = onMessage;
  }

  /** Memory set aside for a message that has not arrived as a whole. */
  get heldBytes(): number {
    return this.#message?.bytes.length ?? 0;
  }

  /** Forgets a message that has not arrived as a whole. Nothing can be pushed afterwards. */
  drop(): void {
    this.#message = undefined;
  }

  /** True between the first byte of a frame and its last. */
  get isInsideFrame(): boolean {
    return this.#message !== undefined || this.#prefixBytes > 0;
  }

  /**
   * Reads the next bytes and calls `onMessage` for every completed message.
   * @throws {GitalyError} RESOURCE_EXHAUSTED for a message above the limit, INTERNAL for an unknown
   *   flag; texts of grpc-go. The reader cannot be used afterwards.
   */
  push(chunk: Buffer): void {
    let offset = 0;
    while (offset < chunk.length) {
      if (this.#message !== undefined) offset += this.#fill(chunk, offset);
      else if (this.#prefixBytes === 0 && chunk.length - offset >= FRAME_PREFIX_BYTES) {
        offset = this.#begin(chunk, offset, chunk, offset + FRAME_PREFIX_BYTES);
      } else {
        offset += this.#collectPrefix(chunk, offset);
      }
    }
  }

  #collectPrefix(chunk: Buffer, offset: number): number {
    this.#prefix ??= Buffer.alloc(FRAME_PREFIX_BYTES);
    const copied = chunk.copy(this.#prefix, this.#prefixBytes, offset);
    this.#prefixBytes += copied;
    if (this.#prefixBytes < FRAME_PREFIX_BYTES) return copied;
    this.#prefixBytes = 0;
    return this.#begin(this.#prefix, 0, chunk, offset + copied) - offset;
  }

  /**
   * Reads a prefix and the part of its message that is in the chunk from `start`. Returns the next
   * offset.
   */
  #begin(prefix: Buffer, prefixOffset: number, chunk: Buffer, start: number): number {
    const length = this.#messageBytes(prefix, prefixOffset);
    const isCompressed = prefix[prefixOffset] === 1;
    if (start + length <= chunk.length) {
      this.#onMessage(chunk.subarray(start, start + length), isCompressed);
      return start + length;
    }
    const bytes = Buffer.allocUnsafeSlow(Math.min(length, Math.max(TRUSTED_BYTES, chunk.length - start)));
    this.#message = { isCompressed, bytes, filled: 0, length };
    return start + this.#fill(chunk, start);
  }

  /** Adds bytes to the message that is being assembled. Returns their number. */
  #fill(chunk: Buffer, offset: number): number {
    const message = this.#message;
    if (message === undefined) return 0;
    if (message.filled === message.bytes.length && message.filled < message.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(message.length, message.bytes.length * 2));
      message.bytes.copy(larger);
      message.bytes = larger;
    }
    const copied = chunk.copy(message.bytes, message.filled, offset);
    message.filled += copied;
    if (message.filled === message.length) {
      this.#message = undefined;
      this.#onMessage(message.bytes, message.isCompressed);
    }
    return copied;
  }

  #messageBytes(buffer: Buffer, offset: number): number {
    const flags = buffer[offset] ?? 0;
    if (flags > 1) throw new GitalyError('INTERNAL', `grpc: received unexpected payload format ${flags}`);
    const length = buffer.readUInt32BE(offset + 1);
    if (length > this.#maxBytes) {
      throw new GitalyError(
        'RESOURCE_EXHAUSTED',
        `grpc: received message larger than max (${length} vs. ${this.#maxBytes})`,
      );
    }
    return length;
  }
}
