import { setTimeout as delay } from 'node:timers/promises';
import { assertNever } from '#base/assert-never';
import { abortable } from '#base/async/abortable';
import { GitalyError } from '#base/gitaly-error';
import { isError } from '#base/is-error';
import { Limit } from '#base/limits/limit';
import { ProblemSeries } from '#base/problem-series';
import type { RepositoryEvent } from '#events/event';
import { TooOldError } from '#events/event-files';
import type { EventSource } from '#events/event-source';
import { ProtocolError } from '#generations/errors';
import { GitExitError } from '#git/command/process/exit-error';
import type { Storage } from '#storage/repository-target';
import { walkRepositories } from '#storage/walk-repositories';
import { type ArchiveBucket, DamagedPackError } from '../bucket/archive-bucket.ts';
import { archivedPaths } from '../bucket/archived-paths.ts';
import type { IdleRepositories } from '../maintain/idle-repositories.ts';
import type { Retention } from '../maintain/retention.ts';
import type { Damage } from '../maintain/verify.ts';
import { type Archiver, OlderJournalError } from './archiver.ts';
import type { JournalPosition } from './journal-position.ts';
import { ALL_REPOSITORIES, type Marked, type MarkedSettings } from './marks.ts';
import type { OpenRepositories } from './open-repositories.ts';
import type { Progress } from './progress.ts';
import { type Step, Steps } from './steps.ts';

/** The events that are archived. */
export type ArchivedEvents = Pick<EventSource, 'last' | 'oldest' | 'news' | 'read'>;

export interface ConsumerOptions {
  readonly bucket: ArchiveBucket;
  readonly storage: Storage;
  readonly journal: ArchivedEvents;
  readonly repositories: OpenRepositories;
  readonly idle: IdleRepositories;
  readonly retention: Retention;
  readonly archiver: Archiver;
  readonly progress: Progress;
  readonly marks: MarkedSettings;
  /** Called with each failed attempt; `isLast`: the repository is left as it is. */
  readonly onProblem: (error: unknown, facts: { readonly path: string; readonly isLast: boolean }) => void;
  /** Called when something was archived. */
  readonly onDone: () => void;
  readonly joinMs: number;
  /** Time between two looks for repositories to maintain. Default: an hour. */
  readonly maintainMs?: number;
  readonly signal: AbortSignal;
}

/**
 * Repositories at once when all are compared: more take memory, and delay changes of others.
 */
const MAX_OF_ALL = 4;
/** Time after which a large one, or one that is repeated, no longer keeps others waiting. */
const LATE_MS = 20_000;
const MARKS_MS = 500;
/** The look that runs at the moment may be too early. */
const LOOKS_PER_MARK = 3;
/** Looks until the git processes of a server that was killed have ended, which may change settings. */
const ORPHAN_LOOKS = 10;
const READ_PAUSE_MS = 5000;
/** A damaged file of the journal may be found at each of its events. */
const GAP_PAUSE_MS = 1000;
const MAINTAIN_MS = 3600_000;
/** Ids are random, so that two digits divide repositories into equal parts. */
const PARTS = 256;
const ALL_PARTS_MS = 24 * 3600_000;
const PRUNE_PAUSE_MS = 5000;
/** Attempts of a step whose failure is not one of the bucket. */
const MAX_ATTEMPTS = 3;
/** Time after which repositories that could not be archived are compared. */
const RETRY_FAILED_MS = 600_000;

/** Follows the journal of a storage, and archives what it reports. */
export class Consumer {
  readonly #options: ConsumerOptions;
  readonly steps: Steps;
  #position: number;
  #isReading = false;
  /** Number of times that the marks were read. */
  #looks = 0;
  #comparing: Promise<void> = Promise.resolve();
  /** The comparison that has not started: it is also that of later requests. */
  #nextComparison: Promise<void> | undefined;
  /** Steps of comparisons of all. */
  readonly #ofAll = new Limit<string>({ capacity: MAX_OF_ALL });

  constructor(options: ConsumerOptions) {
    const { progress, signal, joinMs } = options;
    this.#options = options;
    this.#position = progress.cursor;
    this.steps = new Steps({
      run: (step) => this.#run(step),
      onFailure: (...failure) => this.#failed(...failure),
      onEnd: (isDone) => {
        this.#noteCursor();
        if (isDone) options.onDone();
      },
      joinMs,
      signal,
    });
  }

  /** All events up to this one are archived. */
  get archived(): number {
    return this.#options.progress.cursor;
  }

  /** Follows the journal until the signal is aborted. */
  async run(): Promise<void> {
    await Promise.all([
      this.#followJournal(),
      this.#followMarks(),
      this.#compareAll(),
      this.#retryFailed(),
      this.#maintain(),
      this.#pruneIdle(),
    ]);
  }

  /** Waits until all that the journal had at the call, and all marks, are archived. */
  async settle(): Promise<void> {
    const { journal, signal } = this.#options;
    const { last } = journal;
    // One look renames the file of the marks that are there now, the next one reads it.
    const looks = this.#looks + LOOKS_PER_MARK;
    while (this.#looks < looks || this.#isReading || this.#position < last)
      await delay(10, undefined, { signal });
    await this.#comparing; // of what the journal no longer had
    await this.steps.idle();
  }

  async #followJournal(): Promise<never> {
    const { journal, signal } = this.#options;
    const problems = new ProblemSeries();
    for (;;) {
      const { last, news } = journal;
      this.#isReading = true;
      try {
        for await (const events of journal.read(this.#position)) await this.#addAll(events);
        this.#position = Math.max(this.#position, last);
        problems.end();
      } catch (error) {
        signal.throwIfAborted();
        await this.#gap(error, problems);
        continue;
      } finally {
        this.#isReading = false;
      }
      this.#noteCursor();
      await abortable(news, signal);
    }
  }

  async #addAll(events: readonly RepositoryEvent[]): Promise<void> {
    for (const event of events) {
      await this.steps.waitForSpace();
      const step = this.#stepOf(event);
      if (step !== undefined) this.steps.add(step);
      this.#position = event.sequence;
    }
  }

  /**
   * Has everything compared when the journal does not reach back; else tries again later. What
   * follows is read meanwhile: the journal may not keep it until all comparisons have ended.
   */
  async #gap(error: unknown, problems: ProblemSeries): Promise<void> {
    const { journal, onProblem, signal } = this.#options;
    if (problems.begins(error)) onProblem(error, { path: '', isLast: false });
    if (!(error instanceof TooOldError))
      return void (await delay(READ_PAUSE_MS, undefined, { signal, ref: false }));
    this.#position = journal.last;
    this.#compareAllSoon();
    await delay(GAP_PAUSE_MS, undefined, { signal, ref: false });
  }

  async #followMarks(): Promise<never> {
    const { marks, onProblem, signal } = this.#options;
    const problems = new ProblemSeries();
    const left = await marks.left();
    this.#addSettings(left?.paths ?? []);
    for (;;) {
      await delay(MARKS_MS, undefined, { signal, ref: false });
      if (marks.isFull) continue; // the bucket is away
      if (this.#looks === ORPHAN_LOOKS && left !== undefined) this.#addMarked(left);
      try {
        const marked = await marks.take();
        problems.end();
        if (marked !== undefined) this.#addMarked(marked);
      } catch (error) {
        if (problems.begins(error)) onProblem(error, { path: '', isLast: false });
      }
      this.#looks++;
    }
  }

  #addSettings(paths: readonly string[]): void {
    for (const path of paths)
      if (path === ALL_REPOSITORIES) this.#compareAllSoon();
      else this.steps.add({ kind: 'settings', path, firstMs: 0, last: this.#now() });
  }

  #addMarked(marked: Marked): void {
    const { onProblem, signal } = this.#options;
    this.#addSettings(marked.paths);
    void this.#forgetArchived(marked).catch((error: unknown) => {
      if (!signal.aborted) onProblem(error, { path: '', isLast: false });
    });
  }

  /** Forgets marks once all that they have caused is archived, or is noted to be. */
  async #forgetArchived(marked: Marked): Promise<void> {
    const { marks, progress, signal } = this.#options;
    await this.steps.idleOf(marked.paths);
    const isOfAll = marked.paths.includes(ALL_REPOSITORIES);
    while (isOfAll && !signal.aborted && !(await progress.save()))
      await delay(READ_PAUSE_MS, undefined, { signal, ref: false });
    if (!signal.aborted) await marks.forget(marked);
  }

  /** Compares the repositories that are to be compared, and does so one time after another. */
  async #compareAll(): Promise<void> {
    this.#nextComparison ??= this.#comparing.then(() => {
      this.#nextComparison = undefined;
      return this.#comparePending();
    });
    const comparing = this.#nextComparison;
    this.#comparing = comparing.catch(() => {});
    await comparing;
  }

  async #comparePending(): Promise<void> {
    const { bucket, onProblem, progress, signal, storage } = this.#options;
    const { comparisons, toCompare } = progress;
    if (toCompare === 'none') return;
    const paths = new Set<string>();
    for await (const { relativePath } of walkRepositories(storage, { skipUnreadable: true, signal })) {
      paths.add(relativePath);
      await this.#compareNext(relativePath);
    }
    while (toCompare === 'all') {
      try {
        for await (const path of archivedPaths(bucket)) {
          if (paths.has(path)) continue;
          paths.add(path);
          await this.#compareNext(path, 'missing');
        }
        break;
      } catch (error) {
        signal.throwIfAborted();
        onProblem(error, { path: '', isLast: false });
        await delay(READ_PAUSE_MS, undefined, { signal, ref: false });
      }
    }
    await this.steps.idleOf(paths);
    signal.throwIfAborted();
    progress.endComparison(comparisons);
  }

  /** Runs a step. The first one after a failure compares, since changes may be missing before it. */
  async #run(step: Step): Promise<void> {
    const { archiver, progress } = this.#options;
    const { kind, last, path } = step;
    if (!progress.failed.has(path) || kind === 'work') return await runStep(archiver, step);
    if (kind === 'renamed' || kind === 'removed' || kind === 'missing') await runStep(archiver, step);
    else if (!(await archiver.compare(path, last))) return; // one of the steps that follow does
    progress.failed.delete(path);
    progress.changed();
  }

  async #maintainSoon(path: string): Promise<void> {
    await this.steps.waitForSpace();
    const work = async (): Promise<void> => void (await this.#options.archiver.maintain(path));
    this.steps.add({ kind: 'work', path, work, firstMs: 0, last: this.#now() });
  }

  /** Compares what could not be archived; each stays noted until it is. */
  async #retryFailed(): Promise<never> {
    const { progress, signal } = this.#options;
    for (;;) {
      for (const path of [...progress.failed]) await this.#compareSoon(path);
      await this.#compareAll();
      await delay(RETRY_FAILED_MS, undefined, { signal, ref: false });
    }
  }

  /** Maintains the repositories that have changed, one time after another. */
  async #maintain(): Promise<never> {
    const { maintainMs = MAINTAIN_MS, repositories, signal } = this.#options;
    for (;;) {
      await delay(maintainMs, undefined, { signal, ref: false });
      for (const path of repositories.changed()) await this.#maintainSoon(path);
    }
  }

  /** Deletes what is not kept of repositories that do not change: a part of all after another. */
  async #pruneIdle(): Promise<never> {
    const { onProblem, progress, signal } = this.#options;
    for (;;) {
      await delay(ALL_PARTS_MS / PARTS, undefined, { signal, ref: false });
      const part = progress.nextPart % PARTS;
      try {
        await this.prune({ idPrefix: part.toString(16).padStart(2, '0'), pauseMs: PRUNE_PAUSE_MS });
      } catch (error) {
        signal.throwIfAborted();
        onProblem(error, { path: '', isLast: false });
      }
      progress.nextPart = (part + 1) % PARTS;
      progress.changed();
    }
  }

  /**
   * Deletes what is not kept of all repositories of the archive, or of those whose ids begin with a
   * text.
   *
   * @param pauseMs time after each repository with something to delete.
   */
  async prune({ idPrefix = '', pauseMs = 0 } = {}): Promise<void> {
    const { idle, repositories, retention, signal } = this.#options;
    const paths = new Set<string>();
    for await (const due of idle.due(idPrefix)) {
      if ('id' in due) await repositories.erase(due.id, retention);
      else if ('givenUp' in due) await repositories.deleteGivenUp(due.givenUp);
      else if ('unnamed' in due) await repositories.abandonUnnamed(due.unnamed);
      else {
        paths.add(due.path);
        await this.#maintainSoon(due.path);
      }
      await delay(pauseMs, undefined, { signal, ref: false });
    }
    await this.steps.idleOf(paths);
  }

  /** Repairs a repository of the archive. @returns false if there is nothing to repair it from. */
  async repair(path: string, damage: Damage): Promise<boolean> {
    let isRepaired = false;
    await this.steps.waitForSpace();
    const last = this.#now();
    const work = async (): Promise<void> => {
      isRepaired = await this.#options.archiver.repair(path, damage, last);
    };
    this.steps.add({ kind: 'work', path, work, firstMs: 0, last });
    await this.steps.idleOf([path]);
    return isRepaired;
  }

  async #compareSoon(path: string, kind: 'compare' | 'missing' = 'compare'): Promise<void> {
    await this.steps.waitForSpace();
    this.steps.add({ kind, path, firstMs: 0, last: this.#now() });
  }

  /** Compares one of all repositories, once few of them wait. */
  async #compareNext(path: string, kind: 'compare' | 'missing' = 'compare'): Promise<void> {
    const { release } = await this.#ofAll.acquire(path, { signal: this.#options.signal });
    await this.#compareSoon(path, kind);
    const late = setTimeout(release, LATE_MS).unref();
    void this.steps.idleOf([path]).then(() => {
      clearTimeout(late);
      release();
    });
  }

  #now(): JournalPosition {
    return { sequence: this.#options.journal.last, timeMs: Date.now(), after: this.#position };
  }

  /** Returns the step of an event; `undefined` for one about all repositories. */
  #stepOf(event: RepositoryEvent): Step | undefined {
    const { kind, newValue, previousPath, reference, relativePath: path, sequence, timeMs } = event;
    const step = { path, first: sequence, firstMs: timeMs, last: { sequence, timeMs } };
    if (kind === 'reference' && reference !== undefined)
      return { ...step, kind: 'changes', changes: new Map([[reference, newValue]]) };
    if (kind === 'renamed' && previousPath !== undefined) return { ...step, kind, from: previousPath };
    if (kind === 'created' || kind === 'removed') return { ...step, kind };
    if (path !== '') return { ...step, kind: 'compare' };
    this.#compareAllSoon();
    return undefined;
  }

  #compareAllSoon(): void {
    this.#options.progress.requestComparison('all');
    void this.#compareAll().catch(() => {}); // it ends with the signal
  }

  #noteCursor(): void {
    const { progress, signal } = this.#options;
    if (signal.aborted) return; // steps have ended without being done
    const { first } = this.steps;
    progress.moveTo(first?.first === undefined ? this.#position : first.first - 1);
  }

  /** Reports whether there is another attempt. */
  #failed({ path }: Step, error: unknown, attempt: number): boolean {
    const { onProblem, progress, repositories, storage } = this.#options;
    if (error instanceof OlderJournalError) {
      progress.restart();
      void this.#compareAll().catch(() => {}); // it ends with the signal
    }
    const isOfBucket = !isLocal(error, storage);
    const isLast = !isOfBucket && attempt >= MAX_ATTEMPTS;
    onProblem(error, { path, isLast });
    if (!isOfBucket || attempt > MAX_ATTEMPTS) repositories.forget(path);
    if (isLast) progress.addFailed(path);
    return !isLast;
  }
}

const LOCAL_ERRORS = [DamagedPackError, GitExitError, GitalyError, RangeError];

/** Reports whether an error is one of the repository or its chain: the bucket itself works. */
function isLocal(error: unknown, { path }: Storage): boolean {
  if (error instanceof ProtocolError) return error.problem === 'damaged';
  if (LOCAL_ERRORS.some((type) => error instanceof type)) return true;
  return isError(error) && 'path' in error && String(error.path).startsWith(`${path}/`);
}

async function runStep(archiver: Archiver, step: Step): Promise<void> {
  const { changes = new Map(), from = '', kind, last, path, work } = step;
  switch (kind) {
    case 'changes':
      return await archiver.changed(path, changes, last);
    case 'created':
      return await archiver.created(path, last);
    case 'removed':
      return await archiver.removed(path, last);
    case 'renamed':
      return await archiver.renamed(from, path, last);
    case 'settings':
      return await archiver.settings(path, last);
    case 'compare':
      return await archiver.compareIdle(path, last);
    case 'missing':
      return await archiver.missing(path, last);
    case 'work':
      return await work?.();
    default:
      return assertNever(kind);
  }
}
