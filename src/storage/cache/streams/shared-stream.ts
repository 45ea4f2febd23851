import { GitalyError } from '#base/gitaly-error';
import { type Chunk, ChunkWindow } from './chunk-window.ts';
import type { SpoolFile } from './spool-file.ts';
import { type StreamEnd, StreamReader, type StreamSource } from './stream-reader.ts';

/** Bytes of a stream in memory, apart from those that readers are using. */
export const WINDOW_BYTES = 2 << 20;
/** By default a stream that is to be kept and is not longer stays in memory. */
export const SMALL_BYTES = 128 * 1024;
/** Lead of a producer that is to wait for its readers. */
const WRITE_AHEAD_BYTES = 256 << 20;
/** Time after which a reader that holds all others up is left behind. */
const STALL_MS = 60_000;

/** Receives the bytes of a stream. */
export interface StreamWriter {
  /**
   * Adds bytes that nobody changes afterwards. Wait for the result before the next call.
   *
   * @param recycle receives the bytes when no reader needs them any more.
   * @throws the reason when nobody needs the stream any more.
   */
  write(bytes: Buffer, recycle?: (bytes: Buffer) => void): Promise<void> | undefined;
  /** True while the producer has to wait for readers. */
  readonly isHeldUp: boolean;
}

export interface SharedStreamOptions {
  /** True if the complete stream is to be kept for later readers. */
  readonly isKept: boolean;
  /** True if the producer is to wait for the fastest reader, after a long lead. */
  readonly hasBackpressure: boolean;
  /** A stream that is to be kept and is not longer stays in memory; at most {@link WINDOW_BYTES}. */
  readonly smallBytes: number;
  /** Creates the file for what does not fit into memory. */
  readonly openFile: (isKept: boolean) => Promise<SpoolFile>;
  /** Takes space for the file. @returns false if there is none. */
  readonly takeSpace: (bytes: number) => boolean;
  readonly giveSpace: (bytes: number) => void;
  /** Reports whether producers have to end soon, because others wait for their turn. */
  readonly isContended: () => boolean;
  /** The file cannot be written. The stream goes on without. */
  readonly onFileError: (error: unknown) => void;
  /** The stream has ended, and is complete in memory or in the file, or is not. */
  readonly onEnd: (isComplete: boolean) => void;
  readonly stallMs?: number;
}

/**
 * One stream of bytes with one producer and any number of readers, who all read it from its
 * beginning, each at its own speed, while it is produced. See README.md.
 */
export class SharedStream<T> implements StreamWriter, StreamSource<T> {
  readonly #options: SharedStreamOptions;
  readonly #window = new ChunkWindow();
  readonly #readers = new Set<StreamReader<T>>();
  readonly #abort = new AbortController();
  #waiting: (() => void)[] = [];
  #producer: (() => void) | undefined;
  #bytes = 0;
  #end: StreamEnd<T> | undefined;
  #isKept: boolean;
  /** Opened at most once. `#isFileOver`: it takes no more blocks. */
  #file: SpoolFile | undefined;
  #fileFirst = 0;
  #isFileOver = false;
  #flushing: Promise<void> | undefined;
  #removing: Promise<void> | undefined;
  #isRemoved = false;
  /** The file cannot be read: nobody else is to try. */
  #isDamaged = false;

  constructor(options: SharedStreamOptions) {
    this.#options = options;
    this.#isKept = options.isKept;
  }

  /** Aborts when nobody needs the stream any more. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Bytes produced so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes in memory, for a stream that has ended. */
  get memoryBytes(): number {
    return this.#window.bytes;
  }

  /** True if the stream holds an open file. */
  get hasFile(): boolean {
    return this.#file !== undefined;
  }

  get isHeldUp(): boolean {
    return this.#producer !== undefined;
  }

  get end(): StreamEnd<T> | undefined {
    return this.#end;
  }

  get hasReaders(): boolean {
    return this.#readers.size > 0;
  }

  /** True if a new reader can read from the beginning. */
  get isJoinable(): boolean {
    if (this.#isRemoved || this.#isDamaged || this.#abort.signal.aborted) return false;
    if (this.#end !== undefined && 'error' in this.#end) return false;
    return this.#window.first === 0 || (this.#file !== undefined && this.#fileFirst === 0 && this.#hasAll());
  }

  /** Adds a reader. Close it. */
  read(): StreamReader<T> {
    const reader = new StreamReader<T>(this);
    this.#readers.add(reader);
    return reader;
  }

  write(bytes: Buffer, recycle?: (bytes: Buffer) => void): Promise<void> | undefined {
    this.#abort.signal.throwIfAborted();
    this.#window.push(bytes, recycle);
    this.#bytes += bytes.length;
    this.#wake();
    this.#shrink();
    return this.#mayProduce() ? undefined : this.#untilShrunk();
  }

  /** Ends the stream. The producer writes nothing after it. */
  finish(end: StreamEnd<T>, isComplete: boolean): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#isKept &&= isComplete;
    this.#wake();
    void this.#settle();
  }

  /** Lets the producer go on although readers are slow. */
  relieve(): void {
    this.#shrink();
  }

  /** Ends the producer. */
  cancel(reason: unknown): void {
    if (this.#end === undefined && !this.#abort.signal.aborted) this.#abort.abort(reason);
  }

  /** Forgets a kept stream; its space is free when the last reader has left. */
  remove(): void {
    this.#isRemoved = true;
    this.#isKept = false;
    this.#releaseIfUnused();
  }

  /** Resolves when the file of a stream that was forgotten is gone, or has readers. Never rejects. */
  async fileRemoved(): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing;
    await this.#removing;
  }

  chunk(index: number): Chunk | undefined {
    return this.#window.use(index);
  }

  release(chunk: Chunk): void {
    this.#window.release(chunk);
  }

  async stored(index: number): ReturnType<SpoolFile['read']> {
    if (this.#file === undefined) throw new Error('the stream has lost bytes');
    try {
      return await this.#file.read(index - this.#fileFirst);
    } catch (error) {
      this.#isDamaged = true;
      throw error;
    }
  }

  get count(): number {
    return this.#window.end;
  }

  progress(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  moved(): void {
    this.#shrink();
  }

  left(reader: StreamReader<T>): void {
    if (!this.#readers.delete(reader)) return;
    if (this.#readers.size === 0 && !this.#isKept) this.cancel(nobody());
    this.#shrink();
    this.#releaseIfUnused();
  }

  #hasAll(): boolean {
    return this.#file !== undefined && this.#fileFirst + this.#file.count >= this.#window.first;
  }

  #mayProduce(): boolean {
    if (this.#window.bytes > WINDOW_BYTES) return false;
    if (!this.#options.hasBackpressure || this.#options.isContended()) return true;
    let fastest = 0;
    for (const { bytes } of this.#readers) fastest = Math.max(fastest, bytes);
    return this.#bytes - fastest <= WRITE_AHEAD_BYTES;
  }

  #untilShrunk(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const { signal } = this.#abort;
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort);
    this.#producer = resolve;
    const { stallMs = STALL_MS } = this.#options;
    const stall = setInterval(() => this.#leaveBehind(), stallMs).unref();
    this.#shrink();
    return promise.finally(() => {
      clearInterval(stall);
      this.#producer = undefined;
      signal.removeEventListener('abort', onAbort);
    });
  }

  /** Fails the readers that hold up others who have read everything. */
  #leaveBehind(): void {
    const readers = [...this.#readers];
    if (!readers.some(({ index }) => index === this.#window.end)) return;
    const error = new GitalyError('RESOURCE_EXHAUSTED', 'the client reads too slowly');
    for (const reader of readers) {
      if (reader.index > this.#window.first) continue;
      reader.fail(error);
      this.left(reader);
    }
  }

  /** Drops what is not needed in memory, starts the file if that is not enough, wakes the producer. */
  #shrink(): void {
    this.#drop();
    if (this.#wantsFile()) this.#startFlush();
    if (this.#producer !== undefined && this.#mayProduce()) this.#producer();
  }

  #drop(): void {
    const isEnded = this.#end !== undefined;
    const stored = this.#file === undefined ? 0 : this.#fileFirst + this.#file.count;
    let slowest = Number.POSITIVE_INFINITY;
    for (const { index } of this.#readers) slowest = Math.min(slowest, index);
    const limit = isEnded && this.#file !== undefined ? 0 : this.#keptBytes();
    while (this.#window.bytes > limit) {
      const { first } = this.#window;
      const isNeeded = slowest <= first || this.#mustStore();
      if (isNeeded && first >= stored) return;
      this.#window.drop();
    }
  }

  /**
   * Bytes that stay in memory although all readers have them. As long as that is everything from
   * the beginning, others can join. Chunks that stay become old for the garbage collector, which
   * then frees them only in a full collection.
   */
  #keptBytes(): number {
    return this.#window.first > 0 && this.#file === undefined ? 0 : WINDOW_BYTES;
  }

  /** True if every chunk goes into the file. */
  #mustStore(): boolean {
    if (this.#isFileOver) return false;
    return this.#isKept || this.#file !== undefined || this.#readers.size > 1;
  }

  #wantsFile(): boolean {
    if (this.#isFileOver || this.#flushing !== undefined) return false;
    if (this.#file !== undefined) return this.#fileFirst + this.#file.count < this.#window.end;
    if (this.#isKept && this.#bytes > this.#options.smallBytes) return true;
    if (this.#window.bytes <= WINDOW_BYTES) return false;
    return this.#readers.size > 1 || this.#options.isContended();
  }

  #startFlush(): void {
    // Not at once: its end must not come before this assignment.
    this.#flushing = Promise.resolve().then(() => this.#flush());
  }

  /** Writes the chunks that are only in memory. Never rejects. */
  async #flush(): Promise<void> {
    try {
      if (this.#file === undefined) {
        const file = await this.#options.openFile(this.#isKept);
        this.#file = file;
        this.#fileFirst = this.#window.first;
      }
      while (!this.#isFileOver) {
        const chunks: Chunk[] = [];
        for (let at = this.#fileFirst + this.#file.count; ; at++) {
          const chunk = this.#window.use(at);
          if (chunk === undefined) break;
          chunks.push(chunk);
        }
        if (chunks.length === 0) return;
        try {
          await this.#append(this.#file, chunks);
        } finally {
          for (const chunk of chunks) this.#window.release(chunk);
        }
        this.#drop();
        if (this.#producer !== undefined && this.#mayProduce()) this.#producer();
      }
    } catch (error) {
      this.#endFile();
      this.#options.onFileError(error);
    } finally {
      this.#flushing = undefined;
      this.#shrink();
      this.#releaseIfUnused();
    }
  }

  /** Writes no more into the file. Ends the producer if it had nothing else to write for. */
  #endFile(): void {
    this.#isFileOver = true;
    this.#isKept = false;
    if (this.#readers.size === 0) this.cancel(nobody());
  }

  async #append(file: SpoolFile, chunks: readonly Chunk[]): Promise<void> {
    const length = chunks.reduce((sum, { bytes }) => sum + bytes.length, 0);
    if (!this.#options.takeSpace(length)) {
      // What is in the file stays readable; the rest is passed on in memory.
      this.#endFile();
      return;
    }
    try {
      await file.append(chunks.map(({ bytes }) => bytes));
    } catch (error) {
      this.#options.giveSpace(length);
      throw error;
    }
  }

  #wake(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  async #settle(): Promise<void> {
    this.#shrink();
    while (this.#flushing !== undefined) await this.#flushing;
    const isInMemory = this.#window.first === 0 && this.#bytes <= this.#options.smallBytes;
    const isStored = this.#file !== undefined && this.#fileFirst === 0 && this.#file.bytes === this.#bytes;
    this.#isKept &&= isInMemory || isStored;
    this.#options.onEnd(this.#isKept);
    this.#shrink();
    this.#releaseIfUnused();
  }

  #releaseIfUnused(): void {
    if (this.#readers.size > 0 || this.#isKept || this.#end === undefined || this.#flushing !== undefined)
      return;
    this.#isRemoved = true;
    this.#isFileOver = true;
    while (this.#window.first < this.#window.end) this.#window.drop();
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    this.#options.giveSpace(file.bytes);
    this.#removing = file.remove().catch(this.#options.onFileError);
  }
}

function nobody(): GitalyError {
  return new GitalyError('CANCELLED', 'context canceled');
}
