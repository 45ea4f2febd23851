import type { Http2Stream } from 'node:http2';
import { noteBulkBytes } from '#base/bulk-memory';
import { GitalyError } from '#base/gitaly-error';
import { decompress, type MessageEncoding } from './grpc-compression.ts';
import { FrameReader } from './grpc-frame.ts';

/** Unread messages that may wait here before the stream is paused; beyond it HTTP/2 flow control makes the sender wait. */
const PAUSE_AT_BYTES = 262_144;

/** What an empty message costs in memory. */
const FRAME_OVERHEAD_BYTES = 64;

interface Frame {
  readonly payload: Buffer;
  readonly isCompressed: boolean;
}

interface Waiter {
  resolve(payload: Buffer | undefined): void;
  reject(error: unknown): void;
}

/**
 * The messages that arrive on an HTTP/2 stream, one reader. Pulling is what keeps the stream flowing: who does not read makes the
 * sender wait. Payloads are handed out unpacked and undecoded.
 */
export class IncomingFrames {
  readonly #stream: Http2Stream;
  readonly #maxMessageBytes: number;
  readonly #reader: FrameReader;
  #encoding: MessageEncoding = 'identity';
  #queue: Frame[] = [];
  #queuedBytes = 0;
  #isPaused = false;
  /** No more data is accepted: the end was seen, or an error, or nobody reads any more. */
  #isOver = false;
  #error: unknown;
  #waiter: Waiter | undefined;

  constructor(stream: Http2Stream, maxMessageBytes: number) {
    this.#stream = stream;
    this.#maxMessageBytes = maxMessageBytes;
    this.#reader = new FrameReader(maxMessageBytes, (payload, isCompressed) => this.#deliver({ payload, isCompressed }));
    stream.on('data', (chunk: Buffer) => this.#onData(chunk));
    stream.on('end', () => this.#onEnd());
  }

  /** Sets how messages with the compressed flag are packed (`grpc-encoding`). */
  set encoding(encoding: MessageEncoding) {
    this.#encoding = encoding;
  }

  /**
   * The next message; `undefined` after the last one. Not a promise when it is there already. One call at a time.
   * @throws {GitalyError} what ended the stream, after the messages before it were read.
   */
  next(): Buffer | undefined | Promise<Buffer | undefined> {
    const frame = this.#queue.shift();
    if (frame !== undefined) {
      this.#queuedBytes -= frame.payload.length + FRAME_OVERHEAD_BYTES;
      if (this.#isPaused && this.#queuedBytes < PAUSE_AT_BYTES / 2) {
        this.#isPaused = false;
        this.#stream.resume();
      }
      return this.#unpack(frame);
    }
    if (this.#error !== undefined) throw this.#error;
    if (this.#isOver) return undefined;
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }

  /** Ends the messages with an error once those that have arrived are read. The first error stays. */
  fail(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#error = error;
    this.#waiter?.reject(error);
    this.#waiter = undefined;
  }

  /** Ends the messages at once, unread ones are dropped. */
  abort(error: unknown): void {
    this.#drop();
    this.#error = error;
    this.#isOver = false;
    this.fail(error);
  }

  /** Nobody reads any more: drops what is there and what still comes, so that the stream can close. */
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
  }

  #onData(chunk: Buffer): void {
    noteBulkBytes(chunk.length);
    if (this.#isOver) return;
    try {
      this.#reader.push(chunk);
    } catch (error) {
      this.fail(error);
      return;
    }
    if (this.#queuedBytes >= PAUSE_AT_BYTES && !this.#isPaused) {
      this.#isPaused = true;
      this.#stream.pause();
    }
  }

  #onEnd(): void {
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
    try {
      waiter.resolve(this.#unpack(frame));
    } catch (error) {
      waiter.reject(error);
    }
  }

  #unpack(frame: Frame): Buffer {
    return frame.isCompressed ? decompress(frame.payload, this.#encoding, this.#maxMessageBytes) : frame.payload;
  }
}
