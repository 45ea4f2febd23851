import { randomBytes } from 'node:crypto';
import { systemErrorCode } from '#base/go/system-error';
import { ownerSuffix } from '#base/process-identity';
import { DiskQuota } from './disk-quota.ts';
import { Occurrences } from './occurrences.ts';
import { removeStrayFiles } from './remove-stray-files.ts';
import { SharedStream, SMALL_BYTES, type StreamWriter } from './shared-stream.ts';
import { SpoolFile } from './spool-file.ts';
import type { StreamReader } from './stream-reader.ts';

/** Total size of short streams in memory. */
const MAX_MEMORY_BYTES = 32 << 20;
const MAX_ENTRIES = 20_000;
/** Limit of kept streams with a file: each holds a descriptor. */
const MAX_FILES = 1000;
const SWEEP_MS = 60_000;

/** Receives the events of a cache, for metrics. */
export interface StreamCacheObserver {
  entries(count: number): void;
  diskUsage(bytes: number): void;
  fileRemoved(): void;
}

export interface StreamCacheOptions {
  /** Directory of the files; it is created when the first is needed. */
  readonly directory: string;
  readonly makeDirectory: () => Promise<void>;
  /** Time for which a complete stream is kept; 0 keeps none: only running ones are shared. */
  readonly maxAgeMs: number;
  /** Number of requests for a key before its stream is kept. */
  readonly minOccurrences: number;
  readonly hasBackpressure: boolean;
  /** Ends a producer with its last reader, although the stream is to be kept. Default: no. */
  readonly endsUnread?: boolean;
  /** Limit of the bytes of all files. */
  readonly maxBytes: number;
  /** Returns the part of `maxBytes` that this process may use. Default 1. */
  readonly share?: (() => number) | undefined;
  /** A stream that will be kept stays in memory up to this size. Default {@link SMALL_BYTES}. */
  readonly smallBytes?: number;
  readonly observer?: StreamCacheObserver | undefined;
  /** Called when a file cannot be written or removed. Streams continue without it. */
  readonly onError: (error: unknown) => void;
  /** Reports whether producers must end soon because other callers wait. */
  readonly isContended?: () => boolean;
  /** Limit of kept streams with a file. Default 1000. */
  readonly maxFiles?: number;
  /** Limit of streams. Default 20,000. */
  readonly maxEntries?: number;
  readonly now?: () => number;
  readonly stallMs?: number;
}

/**
 * Writes a stream. It has to stop when the signal is aborted: then nothing needs the stream.
 *
 * @returns facts about the complete stream, for each of its readers.
 */
export type Produce<T> = (writer: StreamWriter, signal: AbortSignal) => Promise<T>;

export interface OpenedStream<T> {
  /** True if the stream was there, complete or running. */
  readonly isHit: boolean;
  /** The reader, which the caller has to close. */
  readonly reader: StreamReader<T>;
  /** The bytes produced so far. */
  readonly stream: { readonly bytes: number };
}

interface Entry<T> {
  readonly stream: SharedStream<T>;
  readonly createdAt: number;
  /** Bytes in memory of a complete stream, and whether it has a file. */
  memoryBytes: number;
  files: 0 | 1;
}

/**
 * Shares streams of bytes between identical requests: those that arrive while the stream is
 * produced, and those of the next minutes if the stream is kept. See README.md.
 */
export class StreamCache<T> implements AsyncDisposable {
  readonly #options: StreamCacheOptions;
  readonly #now: () => number;
  /** The entries, the oldest first. */
  readonly #entries = new Map<string, Entry<T>>();
  readonly #running = new Map<SharedStream<T>, Promise<void>>();
  readonly #quota: DiskQuota;
  readonly #occurrences: Occurrences;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #onDispose: (() => void)[] = [];
  #memoryBytes = 0;
  #keptFiles = 0;
  #createdFiles = 0;
  #directory: Promise<void> | undefined;

  constructor(options: StreamCacheOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#quota = new DiskQuota(options.maxBytes, options.share);
    this.#occurrences = new Occurrences(options.maxAgeMs, this.#now);
    if (options.maxAgeMs > 0)
      this.#timer = setInterval(() => this.expire(), Math.min(options.maxAgeMs, SWEEP_MS)).unref();
  }

  /** Streams that can be joined. */
  get size(): number {
    return this.#entries.size;
  }

  /**
   * Returns a reader of the stream with this key, which `produce` writes if it is not there.
   *
   * @param isComplete reports by its result whether a stream may be kept.
   */
  open(key: string, produce: Produce<T>, isComplete: (result: T) => boolean): OpenedStream<T> {
    const { maxAgeMs, minOccurrences } = this.#options;
    const isKept = maxAgeMs > 0 && this.#occurrences.count(key) >= minOccurrences;
    const found = this.#entries.get(key);
    if (found?.stream.isJoinable === true && !this.#isExpired(found))
      return { isHit: true, reader: found.stream.read(), stream: found.stream };
    if (found !== undefined) this.#forget(key, found);

    const stream = this.#create(key, isKept);
    const entry: Entry<T> = { stream, createdAt: this.#now(), memoryBytes: 0, files: 0 };
    this.#entries.set(key, entry);
    const reader = stream.read();
    const running = this.#run(stream, produce, isComplete).finally(() => this.#running.delete(stream));
    this.#running.set(stream, running);
    this.#observe();
    return { isHit: false, reader, stream };
  }

  /** Reports whether a stream with this key can be joined. */
  has(key: string): boolean {
    const entry = this.#entries.get(key);
    return entry?.stream.isJoinable === true && !this.#isExpired(entry);
  }

  /** Lets producers continue although their readers are slow, because other callers wait. */
  relieve(): void {
    for (const stream of this.#running.keys()) stream.relieve();
  }

  /** Forgets streams that are past their age. */
  expire(): void {
    for (const [key, entry] of this.#entries) if (this.#isExpired(entry)) this.#forget(key, entry);
  }

  /**
   * Removes files of dead processes, and files that are twice as old as any that a process can use.
   */
  async removeStrays(): Promise<void> {
    const { directory, maxAgeMs, observer } = this.#options;
    await removeStrayFiles(directory, { maxAgeMs, onRemoved: () => observer?.fileRemoved() });
  }

  /** Calls a function when the cache is disposed. */
  onDispose(dispose: () => void): void {
    this.#onDispose.push(dispose);
  }

  /** Ends all producers and removes all files that nothing reads. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    for (const dispose of this.#onDispose.splice(0)) dispose();
    const running = new Map(this.#running);
    for (const stream of running.keys()) stream.cancel(new Error('the server stops'));
    await Promise.all(running.values());
    const streams = new Set([...running.keys(), ...[...this.#entries.values()].map(({ stream }) => stream)]);
    for (const [key, entry] of this.#entries) this.#forget(key, entry);
    await Promise.all([...streams].map((stream) => stream.fileRemoved()));
  }

  #isExpired({ stream, createdAt }: Entry<T>): boolean {
    return stream.end !== undefined && this.#now() - createdAt >= this.#options.maxAgeMs;
  }

  async #run(
    stream: SharedStream<T>,
    produce: Produce<T>,
    isComplete: (result: T) => boolean,
  ): Promise<void> {
    try {
      const result = await produce(stream, stream.signal);
      stream.finish({ result }, isComplete(result));
    } catch (error) {
      stream.finish({ error }, false);
    }
  }

  #create(key: string, isKept: boolean): SharedStream<T> {
    const { hasBackpressure, endsUnread = false, isContended = () => false } = this.#options;
    const { onError, smallBytes, stallMs } = this.#options;
    const stream: SharedStream<T> = new SharedStream<T>({
      isKept,
      hasBackpressure,
      endsUnread,
      smallBytes: smallBytes ?? SMALL_BYTES,
      openFile: (isKeptFile) => this.#openFile(isKeptFile),
      takeSpace: (bytes) => this.#takeSpace(bytes),
      giveSpace: (bytes) => {
        this.#quota.give(bytes);
        this.#observe();
      },
      isContended,
      onFileError: onError,
      onEnd: (isComplete) => this.#ended(key, stream, isComplete),
      ...(stallMs !== undefined && { stallMs }),
    });
    return stream;
  }

  #ended(key: string, stream: SharedStream<T>, isComplete: boolean): void {
    const entry = this.#entries.get(key);
    if (entry?.stream !== stream) {
      stream.remove();
      return;
    }
    if (!isComplete) {
      this.#forget(key, entry);
      return;
    }
    entry.memoryBytes = stream.memoryBytes;
    this.#memoryBytes += entry.memoryBytes;
    entry.files = stream.hasFile ? 1 : 0;
    this.#keptFiles += entry.files;
    const { maxFiles = MAX_FILES, maxEntries = MAX_ENTRIES } = this.#options;
    const isFull = (): boolean =>
      this.#memoryBytes > MAX_MEMORY_BYTES || this.#entries.size > maxEntries || this.#keptFiles > maxFiles;
    for (const [oldKey, old] of this.#entries) {
      if (!isFull()) break;
      if (old.stream.end !== undefined) this.#forget(oldKey, old);
    }
  }

  #forget(key: string, entry: Entry<T>): void {
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
    this.#memoryBytes -= entry.memoryBytes;
    entry.memoryBytes = 0;
    this.#keptFiles -= entry.files;
    entry.files = 0;
    entry.stream.remove();
    this.#observe();
  }

  async #openFile(isKept: boolean): Promise<SpoolFile> {
    const name = `${randomBytes(10).toString('hex')}-${++this.#createdFiles}${ownerSuffix()}`;
    const path = `${this.#options.directory}/${name.slice(0, 2)}/${name}`;
    await this.#makeDirectory();
    try {
      return await SpoolFile.create(path, { isHidden: !isKept });
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') throw error;
      this.#directory = undefined; // somebody has removed it
      await this.#makeDirectory();
      return await SpoolFile.create(path, { isHidden: !isKept });
    }
  }

  /** Makes the directory of the files, once. */
  async #makeDirectory(): Promise<void> {
    this.#directory ??= this.#options.makeDirectory();
    try {
      await this.#directory;
    } catch (error) {
      this.#directory = undefined;
      throw error;
    }
  }

  /** Takes space, if necessary from the oldest streams that nothing reads. */
  #takeSpace(bytes: number): boolean {
    let isTaken = this.#quota.take(bytes);
    for (const [key, entry] of this.#entries) {
      if (isTaken) break;
      if (entry.stream.end === undefined || entry.stream.hasReaders) continue;
      this.#forget(key, entry);
      isTaken = this.#quota.take(bytes);
    }
    this.#observe();
    return isTaken;
  }

  #observe(): void {
    const { observer } = this.#options;
    observer?.entries(this.#entries.size);
    observer?.diskUsage(this.#quota.usedBytes);
  }
}
