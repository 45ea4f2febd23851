import { AsyncLocalStorage } from 'node:async_hooks';
import { GitalyError } from '#base/gitaly-error';
import { Limit, type Turn } from '#base/limits/limit';
import type { CommandRepository } from '#git/command/command-repository';
import type { GitProcess } from '#git/command/process/git-process';
import type { GitDirectory } from '#git/repository-files/git-directory';
import { stampOfRepository } from '#git/repository-files/repository-stamp';
import { CatFileProcess } from './cat-file-process.ts';
import { settleDead } from './dead-process.ts';
import { type FoundObject, Lookup, type LookupObserver } from './lookup.ts';
import { newSlot, type Slot, slotKey } from './slot.ts';

export interface CatFilePoolOptions {
  /** Starts a cat-file on a repository, with pipes on standard input and output. */
  readonly start: (repository: CommandRepository, signal?: AbortSignal) => GitProcess;
  /** Delimiter of requests and responses: NUL if git supports `-Z`, otherwise LF. */
  readonly delimiter: 0 | 10;
  /**
   * Number of idle processes beyond which the least recently used ones are ended. Gitaly:
   * `git.catfile_cache_size`.
   */
  readonly maxProcesses: number;
  /** Idle time after which a process is ended. */
  readonly idleMs: number;
  readonly observer?: LookupObserver | undefined;
}

/**
 * Counts for metrics. Gitaly's names: catfile_cache (hit, miss), catfile_processes,
 * catfile_lookups.
 */
export interface CatFileCounts {
  hits: number;
  misses: number;
  started: number;
  running: number;
  lookups: { info: number; contents: number; flush: number };
}

/**
 * Age at which a process is replaced in any case: git keeps files mapped that have been removed
 * since.
 */
const MAX_AGE_MS = 5 * 60_000;
/** Streams and difficult revisions hold processes beyond the budget, up to this multiple of it. */
const HARD_LIMIT_FACTOR = 4;
/**
 * Number of processes that may die with a lookup in their queue before it becomes the suspect and
 * gets a dedicated process.
 */
const MAX_DEATHS = 2;
/** Limit of dedicated processes for one repository; further lookups wait. */
const MAX_ALONE = 4;
const SWEEP_MS = 1_000;
const MAILMAP = Buffer.from('HEAD:.mailmap');

/** Returns a text that changes when a process has read data that is gone or must not be read. */
function stampOfProcess(repository: CommandRepository): string {
  return `${stampOfRepository(repository)}:${repository.hasDamagedCommitGraph === true}`;
}

/**
 * Maximum age of the mailmap's id. Gitaly's processes read it once in their life, which may be
 * minutes.
 */
const MAILMAP_AGE_MS = 1_000;

/** A lookup with a process of its own. */
interface Dedicated {
  readonly lookup: Lookup;
  readonly turn: Turn;
}

/**
 * cat-file processes shared by all readers of a repository. See README.md for the invariants and
 * the states.
 */
export class CatFilePool {
  readonly counts: CatFileCounts = {
    hits: 0,
    misses: 0,
    started: 0,
    running: 0,
    lookups: { info: 0, contents: 0, flush: 0 },
  };
  readonly #options: CatFilePoolOptions;
  /** Slots, the least recently used first. */
  readonly #slots = new Map<string, Slot>();
  /** The slot that was used last. */
  #newest: Slot | undefined;
  readonly #processes = new Set<CatFileProcess>();
  /** Dedicated processes. */
  readonly #dedicated = new Limit<Slot>({ capacityPerOwner: MAX_ALONE });
  /** Processes that each belong to one reader. */
  readonly #borrowed = new Set<GitProcess>();
  /**
   * Runs processes in the context of the pool's creator, because they outlive the request that
   * started them.
   */
  readonly #detached = AsyncLocalStorage.snapshot();
  #sweeper: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: CatFilePoolOptions) {
    this.#options = options;
  }

  /**
   * Sends a lookup to the repository's shared process; `lookup.answer` resolves with the response.
   */
  submit(repository: CommandRepository, lookup: Lookup): void {
    const slot = this.#slot(repository);
    this.#observe(lookup);
    this.#enqueue(slot, lookup);
  }

  /**
   * Returns the info of `HEAD:.mailmap`, at most {@link MAILMAP_AGE_MS} old. Every commit needs it,
   * it rarely changes, and it costs git as much as the commit itself. A lookup for it is sent with
   * the commit's.
   */
  mailmapInfo(repository: CommandRepository): Promise<FoundObject | undefined> {
    const slot = this.#slot(repository);
    const now = performance.now();
    if (slot.mailmap !== undefined && now - slot.mailmap.askedAt < MAILMAP_AGE_MS) return slot.mailmap.info;
    const lookup = new Lookup('info', MAILMAP, 0);
    this.#observe(lookup);
    this.#enqueue(slot, lookup);
    // git continues without an unreadable mailmap; the commit's own lookup reports a dead process.
    const info = lookup.answer.catch(() => undefined);
    slot.mailmap = { info, askedAt: now };
    return info;
  }

  /**
   * Sends a lookup to a dedicated process, for revisions that may kill it or keep it busy for long.
   * It is ended when `signal` is aborted.
   */
  submitAlone(repository: CommandRepository, lookup: Lookup, signal?: AbortSignal): void {
    this.#observe(lookup);
    this.#alone(this.#slot(repository), lookup, signal);
  }

  /**
   * Starts a process for one reader of many objects, which may read slowly and ends it itself. It
   * counts towards the limits.
   *
   * @throws {GitalyError} as a lookup does when too many run; CANCELLED or DEADLINE_EXCEEDED when
   *   `signal` is already aborted.
   */
  borrow(repository: CommandRepository, signal: AbortSignal): GitProcess {
    this.#admit();
    const run = this.#options.start(repository, signal);
    this.#borrowed.add(run);
    this.counts.started++;
    this.#countRunning();
    void run.exited.then(() => {
      this.#borrowed.delete(run);
      this.#countRunning();
    });
    return run;
  }

  /** Delimiter of requests and responses of a borrowed process. */
  get delimiter(): number {
    return this.#options.delimiter;
  }

  /**
   * Ends the processes of a repository that is removed or replaced. Pending lookups are still
   * answered.
   */
  forget({ path }: GitDirectory): void {
    for (const slot of this.#slots.values()) {
      if (slot.repository.path === path) this.#drop(slot);
    }
  }

  /**
   * Ends the process that reads exactly these object directories: a quarantine that is dropped.
   */
  release(repository: GitDirectory): void {
    const slot = this.#slots.get(slotKey(repository));
    if (slot !== undefined) this.#drop(slot);
  }

  /** Ends all processes, and resolves when they have ended. Pending lookups fail. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweeper);
    this.#slots.clear();
    this.#newest = undefined;
    await Promise.all([
      ...[...this.#processes].map((process) => process.kill()),
      ...[...this.#borrowed].map((run) => run[Symbol.asyncDispose]()),
    ]);
  }

  /** Number of shared processes that serve further lookups. */
  get members(): number {
    let count = 0;
    for (const { current } of this.#slots.values()) if (current !== undefined) count++;
    return count;
  }

  #observe(lookup: Lookup): void {
    const answered = this.#options.observer?.(lookup.mode);
    if (answered !== undefined) lookup.answer.then(answered, answered);
  }

  #slot(repository: CommandRepository): Slot {
    const key = slotKey(repository);
    const known = this.#slots.get(key);
    const slot = known ?? newSlot(key, repository);
    this.#touch(slot);
    return slot;
  }

  #touch(slot: Slot): void {
    slot.lastUsedAt = performance.now();
    if (slot === this.#newest) return;
    // The last entry of the map is the most recently used.
    this.#slots.delete(slot.key);
    this.#slots.set(slot.key, slot);
    this.#newest = slot;
  }

  #enqueue(slot: Slot, lookup: Lookup): void {
    slot.queue.push(lookup);
    if (slot.queue.length > 1) return;
    // A busy process needs no flush yet; further lookups of this turn are sent in the same write.
    if (slot.current === undefined || slot.current.isIdle) process.nextTick(() => this.#flush(slot));
    else setImmediate(() => this.#flush(slot));
  }

  #flush(slot: Slot): void {
    const lookups = slot.queue.filter((lookup) => !lookup.settled);
    slot.queue = [];
    if (lookups.length === 0) return;
    try {
      this.#currentOf(slot).send(lookups);
      // The slot was dropped while these waited, so no later code would end the process.
      if (this.#slots.get(slot.key) !== slot) this.#drop(slot);
    } catch (error) {
      for (const lookup of lookups) lookup.reject(error);
      return;
    }
    this.counts.lookups.flush++;
    for (const lookup of lookups) this.counts.lookups[lookup.mode === 'info' ? 'info' : 'contents']++;
  }

  /** Reports whether the slot's process still matches the repository on disk. */
  #isCurrent(slot: Slot): boolean {
    const { current } = slot;
    return (
      current !== undefined &&
      !current.isClosed &&
      this.#isUnchanged(slot) &&
      performance.now() - current.startedAt < MAX_AGE_MS
    );
  }

  /** Reports whether the repository is the one for which the slot's process was started. */
  #isUnchanged(slot: Slot): boolean {
    if (slot.isStampFresh) return true;
    if (slot.stamp !== stampOfProcess(slot.repository)) return false;
    slot.isStampFresh = true;
    setImmediate(() => {
      slot.isStampFresh = false;
    });
    return true;
  }

  /**
   * Returns the shared process; a new one if the old one has ended, is too old, or reads a replaced
   * repository.
   */
  #currentOf(slot: Slot): CatFileProcess {
    const { current } = slot;
    if (current !== undefined && this.#isCurrent(slot)) {
      this.counts.hits++;
      return current;
    }
    this.counts.misses++;
    current?.retire();
    slot.current = undefined;
    slot.stamp = stampOfProcess(slot.repository);
    slot.current = this.#start(slot);
    return slot.current;
  }

  #alone(slot: Slot, lookup: Lookup, signal?: AbortSignal): void {
    const start = (turn: Turn): void => this.#startAlone(slot, { lookup, turn }, signal);
    const turn = this.#dedicated.take(slot);
    if (turn !== undefined) start(turn);
    else void this.#dedicated.acquire(slot).then(start);
  }

  #startAlone(slot: Slot, dedicated: Dedicated, signal: AbortSignal | undefined): void {
    const { lookup, turn } = dedicated;
    if (lookup.settled) {
      turn.release();
      return;
    }
    try {
      const process = this.#start(slot, dedicated);
      const onAbort = (): void => void process.kill();
      signal?.addEventListener('abort', onAbort, { once: true });
      const done = (): void => signal?.removeEventListener('abort', onAbort);
      lookup.answer.then(done, done);
      process.send([lookup]);
      process.retire();
    } catch (error) {
      turn.release();
      lookup.reject(error);
    }
  }

  /**
   * Starts a process. @throws {GitalyError} RESOURCE_EXHAUSTED when far too many run; any error of
   * the start.
   */
  #start(slot: Slot, only?: Dedicated): CatFileProcess {
    const { start, delimiter } = this.#options;
    this.#admit();
    return this.#detached(() => {
      const process: CatFileProcess = new CatFileProcess(start(slot.repository), delimiter, {
        detached: (_, behind) => this.#onDetached(slot, process, behind),
        returned: () => this.#onReturned(slot, process),
        died: (_, unanswered) => this.#onDied(slot, process, unanswered, only),
      });
      this.#processes.add(process);
      this.counts.started++;
      this.#countRunning();
      this.#sweeper ??= setInterval(() => this.#sweep(), SWEEP_MS).unref();
      return process;
    });
  }

  #onDetached(slot: Slot, process: CatFileProcess, behind: Lookup[]): void {
    if (slot.current === process) slot.current = undefined;
    for (const lookup of behind) this.#enqueue(slot, lookup);
  }

  #onReturned(slot: Slot, process: CatFileProcess): void {
    if (slot.current === undefined && this.#slots.get(slot.key) === slot) slot.current = process;
    else process.retire();
  }

  #onDied(slot: Slot, process: CatFileProcess, unanswered: Lookup[], only?: Dedicated): void {
    this.#processes.delete(process);
    this.#countRunning();
    if (slot.current === process) slot.current = undefined;
    only?.turn.release();
    const [suspect, ...innocent] = unanswered;
    if (suspect === undefined) return;
    if (suspect === only?.lookup || this.#closed) settleDead(suspect, process.stderr);
    else this.#alone(slot, suspect);
    for (const lookup of innocent) {
      lookup.deaths++;
      if (lookup.deaths > MAX_DEATHS) this.#alone(slot, lookup);
      else this.#enqueue(slot, lookup);
    }
  }

  /**
   * Checks the limits. @throws {GitalyError} RESOURCE_EXHAUSTED when far too many run, UNAVAILABLE
   * when the server ends.
   */
  #admit(): void {
    if (this.#closed) throw new GitalyError('UNAVAILABLE', 'the server is shutting down');
    this.#evictIdle();
    if (this.counts.running >= this.#options.maxProcesses * HARD_LIMIT_FACTOR) {
      throw new GitalyError('RESOURCE_EXHAUSTED', 'too many processes are reading objects');
    }
  }

  #countRunning(): void {
    this.counts.running = this.#processes.size + this.#borrowed.size;
  }

  /** Ends the least recently used idle process when the budget is spent. */
  #evictIdle(): void {
    if (this.counts.running < this.#options.maxProcesses) return;
    for (const slot of this.#slots.values()) {
      if (slot.current?.isIdle === true && slot.queue.length === 0) {
        this.#drop(slot);
        return;
      }
    }
  }

  #sweep(): void {
    const oldest = performance.now() - this.#options.idleMs;
    for (const slot of this.#slots.values()) {
      if (slot.lastUsedAt > oldest) break;
      if (slot.queue.length === 0 && (slot.current === undefined || slot.current.isIdle)) this.#drop(slot);
    }
    if (this.#slots.size > 0 || this.#processes.size > 0) return;
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }

  #drop(slot: Slot): void {
    if (this.#slots.get(slot.key) === slot) this.#slots.delete(slot.key);
    if (this.#newest === slot) this.#newest = undefined;
    slot.current?.retire();
    slot.current = undefined;
  }
}
