import type { Writable } from 'node:stream';
import { abortable } from '#base/async/abortable';
import { bulkTurns } from '#base/async/bulk-turns';
import { bulkBuffers } from '#base/memory/bulk-buffers';
import { writeChunk } from '#base/streams/copy-stream';
import type { Chunk } from './chunk-window.ts';
import type { ReadBlocks } from './spool-file.ts';

/** How a stream has ended. */
export type StreamEnd<T> = { readonly result: T } | { readonly error: unknown };

export interface StreamSource<T> {
  readonly end: StreamEnd<T> | undefined;
  /** Number of chunks produced so far. */
  readonly count: number;
  /** Returns the chunk with this index if it is in memory. The caller has to release it. */
  chunk(index: number): Chunk | undefined;
  release(chunk: Chunk): void;
  /** Reads chunks that are not in memory. */
  stored(index: number): Promise<ReadBlocks>;
  /** Resolves when there may be more chunks. */
  progress(): Promise<void>;
  /** Called when the reader has advanced. */
  moved(): void;
  left(reader: StreamReader<T>): void;
}

/** Bytes whose memory is used again when they are given back. */
export interface LentBytes {
  readonly bytes: Buffer;
  /**
   * Gives the memory back. Call it at most once, when nothing reads the bytes any more. Without the
   * call, the bytes may be kept.
   */
  giveBack(): void;
}

/** One reader of a shared stream. It reads everything once, from the beginning. */
export class StreamReader<T> implements Disposable {
  readonly #stream: StreamSource<T>;
  #index = 0;
  #bytes = 0;
  #failure: { readonly error: unknown } | undefined;
  #isClosed = false;

  constructor(stream: StreamSource<T>) {
    this.#stream = stream;
  }

  /** The next chunk. */
  get index(): number {
    return this.#index;
  }

  /** Bytes read so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Ends the reader with an error at its next step. */
  fail(error: unknown): void {
    this.#failure ??= { error };
  }

  /**
   * Writes the whole stream, waits for its end and returns its result.
   *
   * @param isDirect true if a write's callback means that the destination needs the bytes no more.
   * @throws the error of the stream, of the destination, the signal's reason.
   */
  async copyTo(
    destination: Writable,
    { isDirect, signal }: { readonly isDirect: boolean; readonly signal: AbortSignal },
  ): Promise<T> {
    for (;;) {
      const lent = await this.#next(signal);
      if (lent === undefined) return this.#result();
      await abortable(
        isDirect ? written(destination, lent.bytes) : (writeChunk(destination, lent.bytes) ?? DONE),
        signal,
      );
      // Not after an error: then the destination may still read them.
      if (isDirect) lent.giveBack();
    }
  }

  /** Yields the bytes, which the caller may keep, then the result. @throws the error of the stream. */
  async *chunks(signal: AbortSignal): AsyncGenerator<Buffer, T, undefined> {
    try {
      for (;;) {
        const lent = await this.#next(signal);
        if (lent === undefined) return this.#result();
        yield lent.bytes;
      }
    } finally {
      this[Symbol.dispose]();
    }
  }

  /** Yields the bytes like {@link chunks}; they should be given back. */
  async *lentChunks(signal: AbortSignal): AsyncGenerator<LentBytes, T, undefined> {
    try {
      for (;;) {
        const lent = await this.#next(signal);
        if (lent === undefined) return this.#result();
        yield lent;
      }
    } finally {
      this[Symbol.dispose]();
    }
  }

  /** Leaves the stream. A stream without readers may end its producer. */
  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stream.left(this);
  }

  /** Returns the next bytes; `undefined` at the end. */
  async #next(signal: AbortSignal): Promise<LentBytes | undefined> {
    const stream = this.#stream;
    for (;;) {
      signal.throwIfAborted();
      if (this.#failure !== undefined) throw this.#failure.error;
      const chunk = stream.chunk(this.#index);
      if (chunk !== undefined) {
        this.#advance(1, chunk.bytes.length);
        await bulkTurns.next(chunk.bytes.length);
        return { bytes: chunk.bytes, giveBack: () => stream.release(chunk) };
      }
      if (this.#index < stream.count) {
        const { bytes, count } = await stream.stored(this.#index);
        this.#advance(count, bytes.length);
        await bulkTurns.next(bytes.length);
        return { bytes, giveBack: () => bulkBuffers.give(bytes) };
      }
      if (stream.end !== undefined) return undefined;
      await abortable(stream.progress(), signal);
    }
  }

  #result(): T {
    const { end } = this.#stream;
    if (end === undefined) throw new Error('the stream has not ended');
    if ('error' in end) throw end.error;
    return end.result;
  }

  #advance(count: number, bytes: number): void {
    this.#index += count;
    this.#bytes += bytes;
    this.#stream.moved();
  }
}

const DONE = Promise.resolve();

/** Resolves when the destination needs the bytes no more. */
function written(destination: Writable, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const onClose = (): void => done(destination.errored ?? new Error('Premature close'));
    const done = (error?: Error | null): void => {
      destination.off('close', onClose);
      if (error) reject(error);
      else resolve();
    };
    if (destination.destroyed) {
      onClose();
      return;
    }
    destination.once('close', onClose);
    destination.write(bytes, done);
  });
}
