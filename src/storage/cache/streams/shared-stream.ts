import { assertNever } from '#base/assert-never';
import { GitalyError } from '#base/gitaly-error';
import { type Chunk, ChunkWindow } from './chunk-window.ts';
import type { SpoolFile } from './spool-file.ts';
import { type StreamEnd, StreamReader, type StreamSource } from './stream-reader.ts';

/** Bytes of a stream in memory, apart from those that readers are using. */
export const WINDOW_BYTES = 2 << 20;
/** A stream that will be kept stays in memory up to this size, by default. */
export const SMALL_BYTES = 128 * 1024;
/** Lead after which a producer waits for its readers, if it is one that waits. */
const WRITE_AHEAD_BYTES = 256 << 20;
/** Time after which a reader that delays all others is dropped. */
const STALL_MS = 60_000;

/** Receives the bytes of a stream. */
export interface StreamWriter {
  /**
   * Adds bytes that are not changed afterwards. Wait for the result before the next call.
   *
   * @param recycle receives the bytes when no reader needs them any more.
   * @throws the reason when nothing needs the stream any more.
   */
  write(bytes: Buffer, recycle?: (bytes: Buffer) => void): Promise<void> | undefined;
  /** True while the producer has to wait for readers. */
  readonly isHeldUp: boolean;
}

export interface SharedStreamOptions {
  /** True if the complete stream will be kept for later readers. */
  readonly isKept: boolean;
  /** True if the producer ends with the last reader even though the stream will be kept. */
  readonly endsUnread: boolean;
  /** True if the producer waits for the fastest reader after a long lead. */
  readonly hasBackpressure: boolean;
  /** A stream that will be kept stays in memory up to this size; at most {@link WINDOW_BYTES}. */
  readonly smallBytes: number;
  /** Creates the file for data that does not fit into memory. */
  readonly openFile: (isKept: boolean) => Promise<SpoolFile>;
  /** Reserves space for the file. @returns false if there is none. */
  readonly takeSpace: (bytes: number) => boolean;
  readonly giveSpace: (bytes: number) => void;
  /** Reports whether producers must end soon because other callers wait. */
  readonly isContended: () => boolean;
  /** Called when the file cannot be written. The stream continues without it. */
  readonly onFileError: (error: unknown) => void;
  /** Called when the stream has ended, complete in memory or in the file, or incomplete. */
  readonly onEnd: (isComplete: boolean) => void;
  readonly stallMs?: number;
}

/**
 * The fate of a stream at its end. `kept` stays for later readers, `unkept` only for its
 * readers, `forgotten` takes no more readers. It only moves to the right.
 */
type Fate = 'kept' | 'unkept' | 'forgotten';

/** The file of a stream. It only moves to later states. */
type Spool =
  | { readonly is: 'unopened' }
  /** The file gets the chunks from `first` on. */
  | { readonly is: 'growing'; readonly file: SpoolFile; readonly first: number }
  /** The file gets no more chunks. Those in it are read. */
  | { readonly is: 'closed'; readonly file: SpoolFile; readonly first: number }
  /** The file is removed, or could not be opened. */
  | { readonly is: 'gone'; readonly removal: Promise<void> | undefined };

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
  #fate: Fate;
  #spool: Spool = { is: 'unopened' };
  /** The running write of chunks into the file, or its opening. */
  #flushing: Promise<void> | undefined;

  constructor(options: SharedStreamOptions) {
    this.#options = options;
    this.#fate = options.isKept ? 'kept' : 'unkept';
  }

  /** Aborts when nothing needs the stream any more. */
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
    return this.#stored !== undefined;
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
    if (this.#fate === 'forgotten' || this.#abort.signal.aborted) return false;
    if (this.#end !== undefined && 'error' in this.#end) return false;
    if (this.#window.first === 0) return true;
    return this.#stored?.first === 0 && this.#stored.file.count >= this.#window.first;
  }

  /** Adds a reader, which the caller has to close. */
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
    if (!isComplete) this.#dontKeep();
    this.#wake();
    void this.#settle();
  }

  /** Lets the producer continue although readers are slow. */
  relieve(): void {
    this.#shrink();
  }

  /** Ends the producer. */
  cancel(reason: unknown): void {
    if (this.#end === undefined && !this.#abort.signal.aborted) this.#abort.abort(reason);
  }

  /** Forgets a kept stream; its space is free when the last reader has left. */
  remove(): void {
    this.#fate = 'forgotten';
    this.#releaseIfUnused();
  }

  /** Resolves when the file of a stream that was forgotten is gone, or has readers. Never rejects. */
  async fileRemoved(): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing;
    if (this.#spool.is === 'gone') await this.#spool.removal;
  }

  chunk(index: number): Chunk | undefined {
    return this.#window.use(index);
  }

  release(chunk: Chunk): void {
    this.#window.release(chunk);
  }

  async stored(index: number): ReturnType<SpoolFile['read']> {
    const stored = this.#stored;
    if (stored === undefined) throw new Error('the stream has lost bytes');
    try {
      return await stored.file.read(index - stored.first);
    } catch (error) {
      this.#fate = 'forgotten'; // no other call may produce it
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
    const isNeeded = this.#fate === 'kept' && !this.#options.endsUnread;
    if (this.#readers.size === 0 && !isNeeded) this.cancel(nobody());
    this.#shrink();
    this.#releaseIfUnused();
  }

  /** The file and the index of its first chunk, as long as it can be read. */
  get #stored(): Extract<Spool, { file: SpoolFile }> | undefined {
    return 'file' in this.#spool ? this.#spool : undefined;
  }

  #dontKeep(): void {
    if (this.#fate === 'kept') this.#fate = 'unkept';
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

  /** Fails the readers that delay others who have read everything. */
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

  /**
   * Drops unneeded data from memory, starts the file if that is not enough, and wakes the producer.
   */
  #shrink(): void {
    this.#drop();
    if (this.#wantsFile()) this.#startFlush();
    if (this.#producer !== undefined && this.#mayProduce()) this.#producer();
  }

  #drop(): void {
    const isEnded = this.#end !== undefined;
    const file = this.#stored;
    const stored = file === undefined ? 0 : file.first + file.file.count;
    let slowest = Number.POSITIVE_INFINITY;
    for (const { index } of this.#readers) slowest = Math.min(slowest, index);
    const limit = isEnded && file !== undefined ? 0 : this.#keptBytes();
    while (this.#window.bytes > limit) {
      const { first } = this.#window;
      const isNeeded = slowest <= first || this.#mustStore();
      if (isNeeded && first >= stored) return;
      this.#window.drop();
    }
  }

  /**
   * Number of bytes that stay in memory although all readers have them. Others can join as long as
   * everything from the beginning is in memory. Chunks that stay become old for the garbage
   * collector, which then frees them only in a full collection.
   */
  #keptBytes(): number {
    return this.#window.first > 0 && this.#stored === undefined ? 0 : WINDOW_BYTES;
  }

  /** True if every chunk goes into the file. */
  #mustStore(): boolean {
    if (this.#spool.is === 'unopened') return this.#fate === 'kept' || this.#readers.size > 1;
    return this.#spool.is === 'growing';
  }

  #wantsFile(): boolean {
    if (this.#flushing !== undefined) return false;
    switch (this.#spool.is) {
      case 'unopened':
        if (this.#fate === 'kept' && this.#bytes > this.#options.smallBytes) return true;
        if (this.#window.bytes <= WINDOW_BYTES) return false;
        return this.#readers.size > 1 || this.#options.isContended();
      case 'growing':
        return this.#spool.first + this.#spool.file.count < this.#window.end;
      case 'closed':
      case 'gone':
        return false;
      default:
        return assertNever(this.#spool);
    }
  }

  #startFlush(): void {
    // Not at once, so that the end does not precede this assignment.
    this.#flushing = Promise.resolve().then(() => this.#flush());
  }

  /** Writes the chunks that are only in memory. Never rejects. */
  async #flush(): Promise<void> {
    try {
      if (this.#spool.is === 'unopened') {
        const file = await this.#options.openFile(this.#fate === 'kept');
        this.#spool = { is: 'growing', file, first: this.#window.first };
      }
      while (this.#spool.is === 'growing') {
        const { file, first } = this.#spool;
        const chunks: Chunk[] = [];
        for (let at = first + file.count; ; at++) {
          const chunk = this.#window.use(at);
          if (chunk === undefined) break;
          chunks.push(chunk);
        }
        if (chunks.length === 0) return;
        try {
          await this.#append(file, chunks);
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

  /** Writes no more into the file. Ends the producer if it wrote only for the file. */
  #endFile(): void {
    const stored = this.#stored;
    this.#spool = stored === undefined ? { is: 'gone', removal: undefined } : { ...stored, is: 'closed' };
    this.#dontKeep();
    if (this.#readers.size === 0) this.cancel(nobody());
  }

  async #append(file: SpoolFile, chunks: readonly Chunk[]): Promise<void> {
    const length = chunks.reduce((sum, { bytes }) => sum + bytes.length, 0);
    if (!this.#options.takeSpace(length)) {
      // Data in the file can still be read; the rest is passed on in memory.
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
    const isStored = this.#stored?.first === 0 && this.#stored.file.bytes === this.#bytes;
    if (!isInMemory && !isStored) this.#dontKeep();
    this.#options.onEnd(this.#fate === 'kept');
    this.#shrink();
    this.#releaseIfUnused();
  }

  #releaseIfUnused(): void {
    if (this.#readers.size > 0 || this.#fate === 'kept') return;
    if (this.#end === undefined || this.#flushing !== undefined) return;
    this.#fate = 'forgotten';
    while (this.#window.first < this.#window.end) this.#window.drop();
    if (this.#spool.is === 'gone') return;
    const file = this.#stored?.file;
    if (file !== undefined) this.#options.giveSpace(file.bytes);
    this.#spool = { is: 'gone', removal: file?.remove().catch(this.#options.onFileError) };
  }
}

function nobody(): GitalyError {
  return new GitalyError('CANCELLED', 'context canceled');
}
