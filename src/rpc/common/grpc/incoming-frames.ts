import type { Readable } from 'node:stream';
import { GitalyError } from '#base/gitaly-error';
import { noteBulkBytes } from '#base/memory/bulk-memory';
import { decompress, type MessageEncoding } from './grpc-compression.ts';
import { FrameReader } from './grpc-frame.ts';

/**
 * Size of unread messages above which the stream is paused; HTTP/2 flow control then stops the
 * sender.
 */
const PAUSE_AT_BYTES = 262_144;

/** Held bytes of a stream below this number are not counted. */
const COUNTED_BYTES = 65_536;

/**
 * Limits of a server for the messages of its clients. Without them, messages are decompressed and
 * held as they arrive.
 */
export interface IncomingLimits {
  /**
   * Changes the number of bytes that are held for unread messages.
   *
   * @throws {GitalyError} RESOURCE_EXHAUSTED when that would exceed the limit; nothing is changed
   *   then.
   */
  hold(bytes: number): void;
  /** Waits until a message may be decompressed. The result is called when it is. */
  decompressionTurn(): Promise<() => void>;
}

/** The stream that the bytes arrive on. */
interface Source {
  pause(): unknown;
  resume(): unknown;
}

/** Memory used by an empty message. */
const FRAME_OVERHEAD_BYTES = 64;

interface Frame {
  readonly payload: Buffer;
  readonly isCompressed: boolean;
}

interface Waiter {
  resolve(payload: Buffer | undefined | Promise<Buffer>): void;
  reject(error: unknown): void;
}

/**
 * The messages that arrive on an HTTP/2 stream, for one reader. Reading keeps the stream flowing; a
 * reader that stops makes the sender wait. Payloads are returned decompressed but not decoded.
 */
export class IncomingFrames {
  readonly #stream: Source;
  readonly #maxMessageBytes: number;
  readonly #limits: IncomingLimits | undefined;
  readonly #reader: FrameReader;
  #encoding: MessageEncoding = 'identity';
  #queue: Frame[] = [];
  #queuedBytes = 0;
  /** Bytes of messages that are decompressed, or wait for that. */
  #unpackingBytes = 0;
  /** Bytes that were reported to {@link IncomingLimits.hold}. */
  #heldBytes = 0;
  #isPaused = false;
  /** True when no more data is accepted: after the end, after an error, or without a reader. */
  #isOver = false;
  #error: unknown;
  #waiter: Waiter | undefined;

  constructor(stream: Source, maxMessageBytes: number, limits?: IncomingLimits) {
    this.#stream = stream;
    this.#limits = limits;
    this.#maxMessageBytes = maxMessageBytes;
    this.#reader = new FrameReader(maxMessageBytes, (payload, isCompressed) =>
      this.#deliver({ payload, isCompressed }),
    );
  }

  /** Receives what a stream of `node:http2` reads. */
  readFrom(stream: Readable): void {
    stream.on('data', (chunk: Buffer) => this.receive(chunk));
    stream.on('end', () => this.end());
  }

  /** Sets the compression of messages with the compressed flag (`grpc-encoding`). */
  set encoding(encoding: MessageEncoding) {
    this.#encoding = encoding;
  }

  /**
   * Returns the next message, or `undefined` after the last one. The result is a promise only if no
   * message has arrived. Only one call may be pending.
   * @throws {GitalyError} the error that ended the stream, after the messages before it were read.
   */
  next(): Buffer | undefined | Promise<Buffer | undefined> {
    const frame = this.#queue.shift();
    if (frame !== undefined) {
      this.#queuedBytes -= frame.payload.length + FRAME_OVERHEAD_BYTES;
      const message = this.#unpack(frame);
      this.#release();
      if (this.#isPaused && this.#queuedBytes < PAUSE_AT_BYTES / 2) {
        this.#isPaused = false;
        this.#stream.resume();
      }
      return message;
    }
    if (this.#error !== undefined) throw this.#error;
    if (this.#isOver) return undefined;
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }

  /** Ends the messages with an error after those that have arrived. The first error is kept. */
  fail(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#error = error;
    this.#waiter?.reject(error);
    this.#waiter = undefined;
  }

  /** Ends the messages at once and drops unread ones. */
  abort(error: unknown): void {
    this.#drop();
    this.#error = error;
    this.#isOver = false;
    this.fail(error);
  }

  /** Drops unread and further messages, so that the stream can close without a reader. */
  discard(): void {
    this.#drop();
    this.#isOver = true;
    this.#waiter?.resolve(undefined);
    this.#waiter = undefined;
    if (this.#isPaused) this.#stream.resume();
    this.#isPaused = false;
  }

  #drop(): void {
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#reader.drop();
    this.#release();
  }

  /** Bytes that count. Small amounts do not, so most streams report nothing. */
  get #countedBytes(): number {
    const bytes = this.#reader.heldBytes + this.#queuedBytes + this.#unpackingBytes;
    return bytes < COUNTED_BYTES ? 0 : bytes;
  }

  /** Reports the held bytes to the limits. @throws {GitalyError} when that is too much. */
  #hold(): void {
    this.#report(this.#countedBytes);
  }

  /** Reports that fewer bytes are held. Those that were refused have never counted. */
  #release(): void {
    this.#report(Math.min(this.#countedBytes, this.#heldBytes));
  }

  #report(bytes: number): void {
    if (this.#limits === undefined || bytes === this.#heldBytes) return;
    this.#limits.hold(bytes - this.#heldBytes);
    this.#heldBytes = bytes;
  }

  /** Receives the next bytes. */
  receive(chunk: Buffer): void {
    noteBulkBytes(chunk.length);
    if (this.#isOver) return;
    try {
      this.#reader.push(chunk);
      this.#hold();
    } catch (error) {
      this.#reader.drop();
      this.fail(error);
      return;
    }
    if (this.#queuedBytes >= PAUSE_AT_BYTES && !this.#isPaused) {
      this.#isPaused = true;
      this.#stream.pause();
    }
  }

  /** Receives the end of the bytes. */
  end(): void {
    if (this.#isOver) return;
    if (this.#reader.isInsideFrame) {
      this.fail(new GitalyError('INTERNAL', 'unexpected EOF'));
      return;
    }
    this.#isOver = true;
    this.#waiter?.resolve(undefined);
    this.#waiter = undefined;
  }

  #deliver(frame: Frame): void {
    const waiter = this.#waiter;
    if (waiter === undefined) {
      this.#queue.push(frame);
      this.#queuedBytes += frame.payload.length + FRAME_OVERHEAD_BYTES;
      return;
    }
    this.#waiter = undefined;
    waiter.resolve(this.#unpack(frame));
  }

  #unpack(frame: Frame): Buffer | Promise<Buffer> {
    return frame.isCompressed ? this.#decompress(frame.payload) : frame.payload;
  }

  /** Decompresses a message. The caller then reports the held bytes. */
  async #decompress(payload: Buffer): Promise<Buffer> {
    this.#unpackingBytes += payload.length;
    const done = await this.#limits?.decompressionTurn();
    try {
      // The call may have been aborted in the meantime.
      if (this.#error !== undefined) throw this.#error;
      return await decompress(payload, this.#encoding, this.#maxMessageBytes);
    } finally {
      done?.();
      this.#unpackingBytes -= payload.length;
      this.#release();
    }
  }
}
