import { mkdirSync } from 'node:fs';
import { type FileHandle, open, readdir, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { lineBatches } from '#base/streams/line-batches';
import type { NewEvent, RepositoryEvent } from './event.ts';
import { formatEventLine, parseEventLine } from './event-line.ts';
import { RecentEvents } from './recent-events.ts';

export interface JournalOptions {
  readonly directory: string;
  /** The oldest segments are removed beyond this size. */
  readonly maxBytes: number;
  /** Segments whose last event is older are removed. */
  readonly maxAgeMs: number;
  /** Called when events cannot be written; they are written later. */
  readonly onProblem: (error: unknown) => void;
}

/** The events after a cursor are not kept any more. */
export class TooOldError extends Error {
  override readonly name = 'TooOldError';
}

interface Segment {
  /** Sequence of its first event. */
  readonly first: number;
  bytes: number;
  /** Milliseconds since 1970. */
  lastMs: number;
}

/** An event that is not in its file yet. */
interface Waiting {
  readonly event: RepositoryEvent;
  readonly line: Buffer;
}

const SEGMENT_DIVISOR = 16;
const MAX_SEGMENT_BYTES = 8 * 1024 * 1024;
const NAME_DIGITS = 16;
const NAME = /^\d{16}\.log$/;
const FLUSH_MS = 200;
const FILE_MODE = 0o600;
/** Events written at once, and kept in memory while the disk is full. */
const MAX_BATCH = 4096;
const MAX_WAITING = 100_000;

/**
 * The events of one storage, in segments: files of checksummed lines that are only appended to. An
 * event is in its file before `add` resolves, so a killed process loses none; the disk has it
 * within 200 ms.
 */
export class Journal implements AsyncDisposable {
  readonly #options: JournalOptions;
  readonly #segments: Segment[] = [];
  readonly #recent = new RecentEvents();
  #file: FileHandle | undefined;
  #last = 0;
  #written = 0;
  #waiting: Waiting[] = [];
  #writing: Promise<boolean> | undefined;
  #flushing: NodeJS.Timeout | undefined;
  #news = Promise.withResolvers<void>();

  private constructor(options: JournalOptions) {
    this.#options = options;
  }

  /** Opens the journal of a directory, which is created. An incomplete event is cut off. */
  static async open(options: JournalOptions): Promise<Journal> {
    mkdirSync(options.directory, { recursive: true, mode: 0o700 });
    const journal = new Journal(options);
    const names = (await readdir(options.directory)).filter((name) => NAME.test(name)).sort();
    for (const name of names) {
      const { mtimeMs, size } = await stat(join(options.directory, name));
      journal.#segments.push({ first: Number(name.slice(0, NAME_DIGITS)), bytes: size, lastMs: mtimeMs });
    }
    const last = journal.#segments.at(-1);
    if (last !== undefined) await journal.#recover(last);
    await journal.#retire();
    return journal;
  }

  /** Sequence of the last event in the files; 0 without one. */
  get last(): number {
    return this.#written;
  }

  /** The events after this sequence are kept. */
  get oldest(): number {
    return (this.#segments[0]?.first ?? this.#written + 1) - 1;
  }

  /** Resolves when there are events after {@link last}. */
  get news(): Promise<void> {
    return this.#news.promise;
  }

  /**
   * Adds events in the order of the calls. Resolves to true when they are in the file, to false
   * when they could not be written: then the next call tries again.
   */
  async add(events: readonly NewEvent[]): Promise<boolean> {
    for (const event of events) {
      const numbered = { sequence: ++this.#last, timeMs: Date.now(), ...event };
      this.#waiting.push({ event: numbered, line: Buffer.from(formatEventLine(numbered)) });
    }
    this.#writing ??= this.#write();
    return await this.#writing;
  }

  /**
   * Yields the events after a sequence in batches, up to {@link last}.
   *
   * @throws {TooOldError}
   */
  async *read(after: number): AsyncGenerator<readonly RepositoryEvent[], void, undefined> {
    const recent = this.#recent.after(after, this.#written);
    if (recent !== undefined) {
      if (recent.length > 0) yield recent;
      return;
    }
    if (after < this.oldest) throw new TooOldError(`events up to ${this.oldest} are no longer kept`);
    const end = this.#written;
    let segment = this.#segments.findLast(({ first }) => first <= after + 1) ?? this.#segments[0];
    while (segment !== undefined) {
      for await (const events of this.#eventsOf(segment)) {
        const wanted = events.filter(({ sequence }) => sequence > after && sequence <= end);
        if (wanted.length > 0) yield wanted;
      }
      const { first } = segment;
      segment = this.#segments.find((each) => each.first > first);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing;
    clearTimeout(this.#flushing);
    const file = this.#file;
    this.#file = undefined;
    await file?.sync().catch(this.#options.onProblem);
    await file?.close();
  }

  /** Yields the events of a segment. @throws {TooOldError} if it was removed meanwhile. */
  async *#eventsOf(segment: Segment): AsyncGenerator<RepositoryEvent[], void, undefined> {
    if (segment.bytes === 0) return;
    const file = await open(this.#path(segment)).catch((error: unknown) => {
      throw new TooOldError('the events are no longer kept', { cause: error });
    });
    for await (const lines of lineBatches(file.createReadStream({ end: segment.bytes - 1 })))
      yield lines.map(parseEventLine).filter((event) => event !== undefined);
  }

  #path({ first }: Segment): string {
    return join(this.#options.directory, `${String(first).padStart(NAME_DIGITS, '0')}.log`);
  }

  /** Reads the last segment, and cuts off what a killed process has not completed. */
  async #recover(segment: Segment): Promise<void> {
    let bytes = 0;
    this.#last = segment.first - 1;
    const stream = (await open(this.#path(segment))).createReadStream();
    reading: for await (const lines of lineBatches(stream))
      for (const line of lines) {
        const event = parseEventLine(line);
        if (event === undefined || bytes + line.length + 1 > segment.bytes) break reading;
        this.#last = event.sequence;
        bytes += line.length + 1;
      }
    if (bytes < segment.bytes) await truncate(this.#path(segment), bytes);
    segment.bytes = bytes;
    this.#written = this.#last;
  }

  /** Writes what waits. Ends in the same step in which nothing waits any more. */
  async #write(): Promise<boolean> {
    await undefined; // events of one iteration are written together
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, MAX_BATCH);
      try {
        await this.#append(batch);
      } catch (error) {
        this.#options.onProblem(error);
        // Their changes are noted elsewhere; the references will show them.
        if (this.#waiting.length > MAX_WAITING) this.#waiting.splice(0, this.#waiting.length - MAX_WAITING);
        this.#writing = undefined;
        return false;
      }
      this.#waiting.splice(0, batch.length);
      this.#recent.add(batch.map(({ event }) => event));
      this.#written = batch.at(-1)?.event.sequence ?? this.#written;
      this.#news.resolve();
      this.#news = Promise.withResolvers();
      this.#flushing ??= setTimeout(() => this.#flush(), FLUSH_MS).unref();
    }
    this.#writing = undefined;
    return true;
  }

  async #append(batch: readonly Waiting[]): Promise<void> {
    const bytes = Buffer.concat(batch.map(({ line }) => line));
    const segment = await this.#segmentFor(batch[0]?.event.sequence ?? this.#last, bytes.length);
    try {
      await this.#file?.appendFile(bytes);
    } catch (error) {
      await this.#file?.truncate(segment.bytes).catch(this.#options.onProblem);
      throw error;
    }
    segment.bytes += bytes.length;
    segment.lastMs = Date.now();
  }

  #flush(): void {
    this.#flushing = undefined;
    this.#file?.datasync().catch(this.#options.onProblem);
  }

  async #segmentFor(first: number, bytes: number): Promise<Segment> {
    const current = this.#segments.at(-1);
    const limit = Math.min(MAX_SEGMENT_BYTES, this.#options.maxBytes / SEGMENT_DIVISOR);
    if (current !== undefined && (current.bytes === 0 || current.bytes + bytes <= limit)) {
      this.#file ??= await open(this.#path(current), 'a', FILE_MODE);
      return current;
    }
    const segment = { first, bytes: 0, lastMs: Date.now() };
    const file = await open(this.#path(segment), 'a', FILE_MODE);
    // Nobody flushes a file that is being closed.
    const previous = this.#file;
    this.#file = file;
    await previous?.datasync();
    await previous?.close();
    this.#segments.push(segment);
    await this.#retire();
    return segment;
  }

  async #retire(): Promise<void> {
    const { maxAgeMs, maxBytes } = this.#options;
    for (;;) {
      const [oldest] = this.#segments;
      if (oldest === undefined || this.#segments.length === 1) return;
      const size = this.#segments.reduce((sum, { bytes }) => sum + bytes, 0);
      if (size <= maxBytes && Date.now() - oldest.lastMs <= maxAgeMs) return;
      this.#segments.shift();
      await rm(this.#path(oldest), { force: true });
    }
  }
}
