import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { type FileHandle, open, rm, truncate } from 'node:fs/promises';
import { holds, invariant } from '#base/invariant';
import { type CompactedEvents, compact, findCompacted } from './compacted-events.ts';
import { type NewEvent, RESYNC_ALL, type RepositoryEvent } from './event.ts';
import { DamagedFileError, eventsOfFile, linesOfFile, TooOldError } from './event-files.ts';
import { formatEventLine, parseEventLine } from './event-line.ts';
import type { CompactedPart, EventSource } from './event-source.ts';
import {
  type CompactedFile,
  checkCompacted,
  eventsOfCompacted,
  eventsOfPart,
  type JournalPart,
  OUT_OF_ORDER,
} from './journal-part.ts';
import { RecentEvents } from './recent-events.ts';
import { cutRest, listSegments, type Segment, segmentPath } from './segments.ts';
import { writeNow } from './write-now.ts';

export interface JournalOptions {
  readonly directory: string;
  /** Size above which the oldest segments are compacted; it also limits the compacted events. */
  readonly maxBytes: number;
  /** Segments whose last event is older are compacted. */
  readonly maxAgeMs: number;
  /**
   * True if the disk may lack events that were read, or readers some on the disk. @see OpenMark
   */
  readonly mayLackEvents?: boolean;
  /**
   * True if another process still adds events, until {@link Journal.takeOver}: this one then uses
   * segments of its own, under later numbers, and removes nothing.
   */
  readonly isShared?: boolean;
  /** Returns false while another process uses the files, too. Default: none does. */
  readonly mayCompact?: () => Promise<boolean>;
  /** Called when events cannot be written; they are written later. */
  readonly onProblem: (error: unknown) => void;
}

/** An event that is not in its file yet. */
interface Waiting {
  readonly event: RepositoryEvent;
  readonly line: Buffer;
}

const SEGMENT_DIVISOR = 16;
const MAX_SEGMENT_BYTES = 8 * 1024 * 1024;
const FLUSH_MS = 200;
/** Interval between searches for segments that are too old: a part of the age, within limits. */
const LOOKS_PER_AGE = 16;
const MIN_LOOK_MS = 1000;
const MAX_LOOK_MS = 3_600_000;
const FILE_MODE = 0o600;
/**
 * Number of events that are written at once, and that are kept in memory while the disk is full.
 */
const MAX_BATCH = 4096;
const MAX_WAITING = 100_000;
/** More events than the disk can lack, and than another process adds until it ends. */
const MAX_LACKING = 1_000_000;
const MAY_LACK = 'events may be missing: the machine has stopped, or a restart was broken off';
/** Limit of segments that are compacted together: their events are in memory, some 100 MB. */
const MAX_COMPACTED_SEGMENTS = 4;

/**
 * The events of one storage, in segments: files of checksummed lines that are only appended to. An
 * event is in its file before `add` resolves, so a killed process loses none; the disk has it
 * within 200 ms. Of old events, the latest of each reference and repository are left.
 */
export class Journal implements EventSource, AsyncDisposable {
  readonly #options: JournalOptions;
  readonly #segments: Segment[] = [];
  readonly #recent = new RecentEvents();
  readonly #id = randomUUID();
  /** The last events could not be written. */
  #hasFailed = false;
  readonly #ending = new AbortController();
  /** Events before the segments; `undefined` if they are unknown or there are none. */
  #compacted: CompactedEvents | undefined;
  #compacting: Promise<void> | undefined;
  #file: FileHandle | undefined;
  #last = 0;
  #written = 0;
  #waiting: Waiting[] = [];
  #writing: Promise<boolean> | undefined;
  #flushing: NodeJS.Timeout | undefined;
  #looking: NodeJS.Timeout | undefined;
  #news = Promise.withResolvers<void>();
  /** Sequence before the segments of this process, as long as another one adds events. */
  #sharedUntil: number | undefined;

  private constructor(options: JournalOptions) {
    this.#options = options;
  }

  /** Opens the journal of a directory, which is created. An incomplete event is cut off. */
  static async open(options: JournalOptions): Promise<Journal> {
    mkdirSync(options.directory, { recursive: true, mode: 0o700 });
    const journal = new Journal(options);
    journal.#segments.push(...(await listSegments(options.directory)));
    const last = journal.#segments.at(-1);
    const damaged = last !== undefined && (await journal.#recover(last)) ? last : undefined;
    journal.#compacted = await journal.#findCompacted(journal.#segments);
    if (damaged !== undefined) options.onProblem(new DamagedFileError(journal.#path(damaged)));
    if (options.mayLackEvents === true) {
      options.onProblem(new Error(MAY_LACK));
      journal.#written = journal.#last += MAX_LACKING;
    }
    if (options.isShared === true) journal.#startBehind();
    if (damaged !== undefined || options.mayLackEvents === true) await journal.add([RESYNC_ALL]);
    journal.#retire();
    const lookMs = Math.min(Math.max(options.maxAgeMs / LOOKS_PER_AGE, MIN_LOOK_MS), MAX_LOOK_MS);
    journal.#looking = setInterval(() => journal.#retire(), lookMs).unref();
    return journal;
  }

  get id(): string {
    return this.#hasFailed ? '' : this.#id;
  }

  get last(): number {
    return this.#written;
  }

  get oldest(): number {
    return (this.#segments[0]?.first ?? this.#written + 1) - 1;
  }

  get news(): Promise<void> {
    return this.#news.promise;
  }

  /** Reports whether no event was added while another process did, too. */
  get isUnused(): boolean {
    return this.#sharedUntil !== undefined && this.#last === this.#sharedUntil;
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
   * Takes over what another process, which has ended, has added since this journal was opened. If
   * this one has added events under later numbers, the repositories of those get a resync.
   */
  async takeOver(): Promise<void> {
    const firstOwn = this.#sharedUntil;
    if (firstOwn === undefined) return;
    const { directory } = this.#options;
    const others = (await listSegments(directory)).filter(({ first }) => first <= firstOwn);
    const compacted = await this.#findCompacted(others);
    // It cuts after it has read all, the last step that fails: the caller can try all again.
    const rest = await cutRest(directory, others, this.#segments);
    const own = this.#segments.filter(({ first }) => first > firstOwn);
    const isUnused = this.#file === undefined && this.#waiting.length === 0 && rest.first > this.#written;
    this.#segments.splice(0, this.#segments.length, ...others, ...(isUnused ? [] : own));
    if (isUnused) {
      this.#last = this.#written = Math.max(this.#written, rest.last);
      this.#news.resolve();
      this.#news = Promise.withResolvers();
    }
    this.#compacted = compacted;
    this.#sharedUntil = undefined;
    await this.add(rest.isDamaged || !isUnused ? rest.resyncs : []);
    this.#retire();
  }

  async *read(after: number): AsyncGenerator<readonly RepositoryEvent[], void, undefined> {
    yield* eventsOfPart(this.locate(after), after, this.#options.onProblem);
  }

  /** Returns where the events after a sequence are, up to {@link last}. @throws {TooOldError} */
  locate(after: number): JournalPart {
    const end = this.#written;
    const recent = this.#recent.after(after, end);
    if (recent !== undefined) return { end, events: recent, files: [] };
    if (after < this.oldest) throw new TooOldError(`events up to ${this.oldest} are no longer kept`);
    const start = this.#segments.findLastIndex(({ first }) => first <= after + 1);
    // A copy of the list: segments that are removed later would be missing in it.
    const segments = this.#segments.slice(Math.max(start, 0));
    return {
      end,
      events: [],
      files: segments.map((segment) => ({
        path: this.#path(segment),
        bytes: segment.bytes,
        first: segment.first,
      })),
    };
  }

  compacted(wanted?: number): CompactedPart {
    const file = this.locateCompacted();
    checkCompacted(wanted ?? file.last, file.last);
    return { last: file.last, batches: eventsOfCompacted(file) };
  }

  /** Returns where these are. */
  locateCompacted(): CompactedFile {
    return { last: this.oldest, path: this.#compacted?.path };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    clearInterval(this.#looking);
    await this.#compacting;
    await this.#writing;
    clearTimeout(this.#flushing);
    const file = this.#file;
    this.#file = undefined;
    await file?.sync().catch(this.#options.onProblem);
    await file?.close();
  }

  #path({ first }: Segment): string {
    return segmentPath(this.#options.directory, first);
  }

  /**
   * Reads the last segment and cuts off an incomplete line of a killed process, or what is damaged.
   *
   * @returns true if events are lost: complete lines cannot be read, or a power failure left zeros.
   */
  async #recover(segment: Segment): Promise<boolean> {
    let bytes = 0;
    let kept = 0;
    let lastLost = 0;
    let endOfLast = 0;
    let isDamaged = false;
    this.#last = segment.first - 1;
    const stream = (await open(this.#path(segment))).createReadStream();
    for await (const lines of linesOfFile(stream))
      for (const line of lines) {
        const isIntact = kept === bytes;
        bytes += line.length + 1;
        const isComplete = bytes <= segment.bytes;
        const event = isComplete ? parseEventLine(line) : undefined;
        if (event === undefined) {
          isDamaged ||= isComplete || line.includes(0);
          continue;
        }
        endOfLast = bytes;
        if (isIntact && holds(event.sequence > this.#last, 'journal-order', OUT_OF_ORDER)) {
          this.#last = event.sequence;
          kept = bytes;
        } else lastLost = Math.max(lastLost, event.sequence);
      }
    const unreadable = segment.bytes - endOfLast;
    // The line may be one that another process writes now.
    if (kept < segment.bytes && this.#options.isShared !== true) await truncate(this.#path(segment), kept);
    segment.bytes = kept;
    const isLost = isDamaged || lastLost > this.#last;
    // No number of a lost event is given again: an event has more than one byte.
    this.#last = Math.max(this.#last, lastLost) + (isDamaged ? unreadable : 0);
    this.#written = this.#last;
    return isLost;
  }

  /** Begins a segment, under a number that the other process does not reach. */
  #startBehind(): void {
    this.#last += MAX_LACKING;
    this.#sharedUntil = this.#last;
    this.#segments.push({ first: this.#last + 1, bytes: 0, lastMs: Date.now() });
  }

  /** Writes waiting events. Ends in the same step in which no event waits any more. */
  async #write(): Promise<boolean> {
    await undefined; // events of one iteration are written together
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, MAX_BATCH);
      try {
        await this.#append(batch);
      } catch (error) {
        this.#options.onProblem(error);
        this.#hasFailed = true;
        if (this.#waiting.length > MAX_WAITING) this.#forgetWaiting();
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
    this.#hasFailed = false;
    return true;
  }

  /** Replaces half of the waiting events by one that reports the loss. */
  #forgetWaiting(): void {
    const [last] = this.#waiting.splice(0, MAX_WAITING / 2).slice(-1);
    if (last === undefined) return;
    const event = { sequence: last.event.sequence, timeMs: last.event.timeMs, ...RESYNC_ALL };
    this.#waiting.unshift({ event, line: Buffer.from(formatEventLine(event)) });
  }

  async #append(batch: readonly Waiting[]): Promise<void> {
    let last = this.#written;
    for (const { event } of batch) {
      invariant(event.sequence > last, 'journal-order', OUT_OF_ORDER);
      last = event.sequence;
    }
    const bytes = Buffer.concat(batch.map(({ line }) => line));
    const segment = await this.#segmentFor(batch[0]?.event.sequence ?? this.#last, bytes.length);
    try {
      if (this.#file !== undefined) writeNow(this.#file, bytes);
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
    // A file that is being closed is not flushed.
    const previous = this.#file;
    this.#file = file;
    await previous?.datasync();
    await previous?.close();
    this.#segments.push(segment);
    this.#retire();
    return segment;
  }

  /** Returns the compacted events, and removes segments that a killed process had compacted. */
  async #findCompacted(segments: Segment[]): Promise<CompactedEvents | undefined> {
    const [first] = segments;
    if (first === undefined) return undefined;
    const compacted = await findCompacted(this.#options.directory, first.first);
    const next = (compacted?.last ?? 0) + 1;
    const kept = segments.findLastIndex((segment) => segment.first <= next);
    for (const segment of segments.splice(0, Math.max(kept, 0)))
      await rm(this.#path(segment), { force: true });
    return compacted;
  }

  /** Compacts the oldest segments when there are too many of them, next to other work. */
  #retire(): void {
    if (this.#sharedUntil !== undefined) return;
    const { onProblem } = this.#options;
    this.#compacting ??= this.#compactOldest()
      .catch((error: unknown) => {
        if (!this.#ending.signal.aborted) onProblem(error);
      })
      .finally(() => {
        this.#compacting = undefined;
      });
  }

  async #compactOldest(): Promise<void> {
    const { mayCompact = async () => true } = this.#options;
    for (let count = this.#excess(); count > 0 && (await mayCompact()); count = this.#excess()) {
      const last = (this.#segments[count]?.first ?? 0) - 1;
      const before = this.#compacted;
      this.#compacted = await this.#compact(this.#segments.slice(0, count), last);
      const old = this.#segments.splice(0, count);
      // First the replaced segments, so that no gap follows them; then the oldest.
      if (before !== undefined) await rm(before.path, { force: true });
      for (const segment of old) await rm(this.#path(segment), { force: true });
    }
  }

  /** Returns the number of segments to be compacted, which is never all. */
  #excess(): number {
    const { maxAgeMs, maxBytes } = this.#options;
    const oldest = this.#segments.slice(0, -1).slice(0, MAX_COMPACTED_SEGMENTS);
    if (this.#bytes > maxBytes) return oldest.length;
    const kept = oldest.findIndex(({ lastMs }) => Date.now() - lastMs <= maxAgeMs);
    return kept === -1 ? oldest.length : kept;
  }

  get #bytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /**
   * Returns `undefined` if the events before the segments are unknown, or the rest is too large.
   */
  async #compact(segments: readonly Segment[], last: number): Promise<CompactedEvents | undefined> {
    const { directory, maxBytes, onProblem } = this.#options;
    const { signal } = this.#ending;
    if (this.#compacted === undefined && this.oldest > 0) return undefined;
    const parts = segments.map((segment) => eventsOfFile(this.#path(segment), segment.bytes));
    try {
      return await compact(this.#compacted, parts, last, { directory, maxBytes, signal });
    } catch (error) {
      // A full disk may have space later, but the journal needs space as well.
      const mayPass = !(error instanceof TooOldError) && this.#bytes <= 2 * maxBytes;
      if (signal.aborted || mayPass) throw error;
      onProblem(error);
      return undefined;
    }
  }
}
