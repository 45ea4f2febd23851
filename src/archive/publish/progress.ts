import { randomUUID } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ignoreMissing } from '#base/files/ignore-missing';
import { replaceFile } from '#base/files/replace-file';
import { ProblemSeries } from '#base/problem-series';
import { integer, list, maybe, object, oneOf, parseAs, type Shaped, text } from '#base/shape';

const shape = object({
  /** Identity of the journal that the cursor is of. */
  journalId: text,
  /** Identity of the bucket. */
  incarnation: text,
  /** All events up to this number are archived. */
  cursor: integer,
  /**
   * Repositories that are still to be compared, because the journal does not have their changes:
   * those on the disk, or also those that only the archive has, which were removed meanwhile.
   */
  toCompare: oneOf('none', 'present', 'all'),
  /** Paths of repositories that could not be archived, and are compared later. */
  failed: list(text),
  /** Number of the part of the archive that is pruned next. */
  nextPart: maybe(integer),
});

export type ProgressFields = Shaped<typeof shape>;

const SAVE_MS = 500;
/** With an older cursor, a few events more are read again: each write takes time of a push. */
const SAVE_CURSOR_MS = 10_000;
/** Time after which a failed write is repeated, as on a full disk. */
const REPEAT_SAVE_MS = 5000;
/** With more of them, all repositories are compared. */
const MAX_FAILED = 1000;

/**
 * How far a storage is archived, in a file. Its cursor is at most ten seconds behind, and all else
 * half a second, so that events may be read again after a crash: the archive knows which it has.
 */
export class Progress {
  journalId: string;
  #cursor: number;
  toCompare: ProgressFields['toCompare'];
  readonly failed: Set<string>;
  nextPart: number;
  #comparisons = 0;
  readonly #path: string;
  readonly #incarnation: string;
  readonly #onProblem: (error: unknown) => void;
  readonly #problems = new ProblemSeries();
  #saving: NodeJS.Timeout | undefined;
  /** Time of the next save, by `performance.now()`. */
  #saveAtMs = 0;
  #writing: Promise<boolean> = Promise.resolve(true);
  #isClosed = false;

  private constructor(
    path: string,
    { cursor, failed, incarnation, journalId, nextPart = 0, toCompare }: ProgressFields,
    onProblem: (error: unknown) => void,
  ) {
    this.#path = path;
    this.journalId = journalId;
    this.#incarnation = incarnation;
    this.#cursor = cursor;
    this.toCompare = toCompare;
    this.failed = new Set(failed);
    this.nextPart = nextPart;
    this.#onProblem = onProblem;
  }

  /**
   * Reads the file. Without one, or with that of another bucket or journal, all repositories on the
   * disk are to be compared. What only the archive has stays: the disk may be a new one.
   *
   * @param last number of the last event of the journal.
   */
  static async open(
    path: string,
    { incarnation, last }: { readonly incarnation: string; readonly last: number },
    onProblem: (error: unknown) => void,
  ): Promise<Progress> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const content = await readFile(path, 'utf8').catch(ignoreMissing);
    const read = content === undefined ? undefined : parseAs(shape, content);
    const isUsable = read?.incarnation === incarnation && read.cursor <= last;
    const fresh = { ...newJournal(), incarnation, cursor: last, failed: [], nextPart: 0 };
    const progress = new Progress(path, isUsable ? read : fresh, onProblem);
    if (!isUsable) progress.changed();
    return progress;
  }

  /** All events up to this one are archived. */
  get cursor(): number {
    return this.#cursor;
  }

  /** Notes that more events are archived. */
  moveTo(cursor: number): void {
    if (cursor === this.#cursor) return;
    this.#cursor = cursor;
    this.#saveWithin(SAVE_CURSOR_MS);
  }

  /** Notes a repository that could not be archived. */
  addFailed(path: string): void {
    if (this.failed.size >= MAX_FAILED && !this.failed.has(path)) this.requestComparison('present');
    else this.failed.add(path);
    this.changed();
  }

  /** Begins again: the archive has later changes than the journal, as after a restored disk. */
  restart(): void {
    Object.assign(this, newJournal());
    this.#comparisons++;
    this.changed();
  }

  /** Number of requests to compare all repositories. */
  get comparisons(): number {
    return this.#comparisons;
  }

  /** Has all repositories compared: those on the disk, or also those that only the archive has. */
  requestComparison(which: 'present' | 'all'): void {
    if (this.toCompare !== 'all') this.toCompare = which;
    this.#comparisons++;
    this.changed();
  }

  /**
   * Notes that all repositories were compared. Those that were asked for meanwhile are still to be.
   *
   * @param since number of requests at the begin.
   */
  endComparison(since: number): void {
    if (this.#comparisons !== since) return;
    this.toCompare = 'none';
    this.changed();
  }

  /** Has the file written soon. */
  changed(): void {
    this.#saveWithin(SAVE_MS);
  }

  /** Writes the file now. @returns false if that failed: it is repeated later. */
  async save(): Promise<boolean> {
    return this.#isClosed || (await this.#saveNow());
  }

  /** Writes the file for the last time. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#saveNow();
  }

  async #saveNow(): Promise<boolean> {
    clearTimeout(this.#saving);
    this.#saving = undefined;
    this.#writing = this.#writing.then(() => this.#tryToWrite());
    return await this.#writing;
  }

  async #tryToWrite(): Promise<boolean> {
    try {
      await this.#write();
      this.#problems.end();
      return true;
    } catch (error) {
      if (this.#problems.begins(error)) this.#onProblem(error);
      this.#saveWithin(REPEAT_SAVE_MS);
      return false;
    }
  }

  #saveWithin(ms: number): void {
    if (this.#isClosed) return;
    const atMs = performance.now() + ms;
    if (this.#saving !== undefined && this.#saveAtMs <= atMs) return;
    clearTimeout(this.#saving);
    this.#saveAtMs = atMs;
    this.#saving = setTimeout(() => void this.save(), ms).unref();
  }

  async #write(): Promise<void> {
    const { cursor, failed, journalId, nextPart, toCompare } = this;
    const incarnation = this.#incarnation;
    const fields = { journalId, incarnation, cursor, toCompare, failed: [...failed], nextPart };
    await replaceFile(this.#path, JSON.stringify(fields), { durable: false });
  }
}

function newJournal(): Pick<ProgressFields, 'journalId' | 'toCompare'> {
  return { journalId: randomUUID(), toCompare: 'present' };
}
