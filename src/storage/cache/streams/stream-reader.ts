import type { Writable } from 'node:stream';
import { abortable } from '#base/abortable';
import { noteBulkBytes } from '#base/bulk-memory';
import { writeChunk } from '#base/streams/copy-stream';
import type { Chunk } from './chunk-window.ts';
import type { ReadBlocks } from './spool-file.ts';

/** How a stream has ended. */
export type StreamEnd<T> = { readonly result: T } | { readonly error: unknown };

/** The stream of a reader. */
export interface StreamSource<T> {
  readonly end: StreamEnd<T> | undefined;
  /** Number of chunks produced so far. */
  readonly count: number;
  /** Returns the chunk with this index if it is in memory; release it. */
  chunk(index: number): Chunk | undefined;
  release(chunk: Chunk): void;
  /** Reads chunks that are not in memory. */
  stored(index: number): Promise<ReadBlocks>;
  /** Resolves when there may be more. */
  progress(): Promise<void>;
  /** Is told that the reader has moved on. */
  moved(): void;
  left(reader: StreamReader<T>): void;
}

/** One reader of a shared stream. It reads everything once, from the beginning. */
export class StreamReader<T> implements Disposable {
  readonly #stream: StreamSource<T>;
  #index = 0;
  #bytes = 0;
  #chunk: Chunk | undefined;
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
      const bytes = await this.#next(signal);
      if (bytes === undefined) return this.#result();
      if (!isDirect) this.#keep();
      try {
        await abortable(
          isDirect ? written(destination, bytes) : (writeChunk(destination, bytes) ?? DONE),
          signal,
        );
      } catch (error) {
        this.#keep();
        throw error;
      }
    }
  }

  /** Yields the bytes, which the caller may keep, then the result. @throws the error of the stream. */
  async *chunks(signal: AbortSignal): AsyncGenerator<Buffer, T, undefined> {
    try {
      for (;;) {
        const bytes = await this.#next(signal);
        if (bytes === undefined) return this.#result();
        this.#keep();
        yield bytes;
      }
    } finally {
      this[Symbol.dispose]();
    }
  }

  /** Leaves the stream. A stream without readers may end its producer. */
  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#releaseChunk();
    this.#stream.left(this);
  }

  /** Returns the next bytes, valid until the next call; `undefined` at the end. */
  async #next(signal: AbortSignal): Promise<Buffer | undefined> {
    const stream = this.#stream;
    this.#releaseChunk();
    for (;;) {
      signal.throwIfAborted();
      if (this.#failure !== undefined) throw this.#failure.error;
      const chunk = stream.chunk(this.#index);
      if (chunk !== undefined) {
        this.#chunk = chunk;
        this.#advance(1, chunk.bytes.length);
        return chunk.bytes;
      }
      if (this.#index < stream.count) {
        const { bytes, count } = await stream.stored(this.#index);
        noteBulkBytes(bytes.length);
        this.#advance(count, bytes.length);
        return bytes;
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

  /** Leaves the memory of the current chunk to whoever has the bytes. */
  #keep(): void {
    if (this.#chunk !== undefined) this.#chunk.recycle = undefined;
  }

  #releaseChunk(): void {
    const chunk = this.#chunk;
    if (chunk === undefined) return;
    this.#chunk = undefined;
    this.#stream.release(chunk);
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
