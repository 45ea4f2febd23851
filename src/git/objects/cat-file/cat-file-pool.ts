import { AsyncLocalStorage } from 'node:async_hooks';
import { GitalyError } from '#base/gitaly-error';
import { Limit } from '#base/limits/limit';
import type { CommandRepository } from '#git/command/command-repository';
import { flag, gitCommand } from '#git/command/git-command';
import type { GitProcess } from '#git/command/process/git-process';
import { ProcessPool } from '#git/command/process-pool';
import type { Oid } from '#git/names/object-id';
import type { GitDirectory } from '#git/repository-files/git-directory';
import { stampOfRepository } from '#git/repository-files/repository-stamp';
import { CatFileProcess } from './cat-file-process.ts';
import { settleDead } from './dead-process.ts';
import { type FoundObject, Lookup, type LookupObserver } from './lookup.ts';
import { ObjectStream } from './object-stream.ts';
import { newSlot, type Slot, slotKey } from './slot.ts';

export interface CatFilePoolOptions {
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
/**
 * Maximum age of the mailmap's id. Gitaly's processes read it once in their life, which may be
 * minutes.
 */
const MAILMAP_AGE_MS = 1_000;
/** Limit of idle processes that wait for the next big object. */
const MAX_IDLE_STREAMING = 16;

/** Starts a `git cat-file` that serves lookups until its input ends. */
function startCatFile(repository: CommandRepository, signal: AbortSignal | undefined): GitProcess {
  const options = [flag('--batch-command'), flag('--buffer')];
  if (repository.git.capabilities.catFileNul) options.push(flag('-Z'));
  return repository.spawn(gitCommand('cat-file', { options }), { stdin: 'pipe', signal });
}

/** Returns a text that changes when a process has read data that is gone or must not be read. */
function stampOfProcess(repository: CommandRepository): string {
  return `${stampOfRepository(repository)}:${repository.hasDamagedCommitGraph === true}`;
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
  /** All processes that have not ended. */
  readonly #running = new Set<GitProcess>();
  /** Lookups with a dedicated process. */
  readonly #dedicated = new Limit<Slot>({ capacityPerOwner: MAX_ALONE });
  /** Processes that each serve one big object after another. */
  readonly #streaming: ProcessPool;
  /**
   * Runs processes in the context of the pool's creator, because they outlive the request that
   * started them.
   */
  readonly #detached = AsyncLocalStorage.snapshot();
  #sweeper: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: CatFilePoolOptions) {
    this.#options = options;
    this.#streaming = new ProcessPool((repository) => this.borrow(repository), {
      maxIdle: Math.min(MAX_IDLE_STREAMING, options.maxProcesses),
      maxIdlePerRepository: MAX_IDLE_STREAMING / 4,
    });
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
    this.submit(repository, lookup);
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
    void this.#alone(this.#slot(repository), lookup, signal);
  }

  /**
   * Starts a process for one reader of many objects, which may read slowly and ends it itself. It
   * counts towards the limits.
   *
   * @throws {GitalyError} as a lookup does when too many run; CANCELLED or DEADLINE_EXCEEDED when
   *   `signal` is already aborted.
   */
  borrow(repository: CommandRepository, signal?: AbortSignal): GitProcess {
    this.#admit();
    const run = startCatFile(repository, signal);
    this.#running.add(run);
    this.counts.started++;
    this.counts.running = this.#running.size;
    void run.exited.then(() => {
      this.#running.delete(run);
      this.counts.running = this.#running.size;
    });
    return run;
  }

  /**
   * Opens the contents of a big object, from a process that serves nothing else until they are read
   * to their end or destroyed; `undefined` if there is no such object.
   *
   * @throws {GitalyError} as a lookup does.
   */
  async stream(
    repository: CommandRepository,
    oid: Oid,
    signal?: AbortSignal,
  ): Promise<FoundObject | undefined> {
    const answered = this.#options.observer?.('open');
    const open = (run: GitProcess): Promise<FoundObject | undefined> =>
      this.#open({ repository, run, oid, signal });
    try {
      const idle = this.#streaming.take(repository);
      if (idle !== undefined) {
        try {
          this.counts.hits++;
          return await open(idle);
        } catch (error) {
          if (signal?.aborted === true) throw error;
          // It may have ended while it was idle.
        }
      }
      this.counts.misses++;
      return await open(this.#streaming.start(repository));
    } finally {
      answered?.();
    }
  }

  /** Delimiter of requests and responses of a borrowed process. */
  get delimiter(): number {
    return this.#options.delimiter;
  }

  /**
   * Ends the processes of a repository that is removed or replaced. Pending lookups are still
   * answered.
   */
  forget(directory: GitDirectory): void {
    for (const slot of this.#slots.values()) {
      if (slot.repository.path === directory.path) this.#drop(slot);
    }
    this.#streaming.forget(directory);
  }

  /**
   * Ends the process that reads exactly these object directories: a quarantine that is dropped.
   */
  release(repository: GitDirectory): void {
    const slot = this.#slots.get(slotKey(repository));
    if (slot !== undefined) this.#drop(slot);
    this.#streaming.forget(repository);
  }

  /** Ends all processes, and resolves when they have ended. Pending lookups fail. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweeper);
    this.#slots.clear();
    await Promise.all([
      this.#streaming.close(),
      ...[...this.#running].map((run) => run[Symbol.asyncDispose]()),
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

  async #open(request: {
    readonly repository: CommandRepository;
    readonly run: GitProcess;
    readonly oid: Oid;
    readonly signal: AbortSignal | undefined;
  }): Promise<FoundObject | undefined> {
    const { repository, run, oid, signal } = request;
    const stream = new ObjectStream(run, {
      oid,
      delimiter: this.#options.delimiter,
      onFinished: () => this.#streaming.giveBack(repository, run),
    });
    this.counts.lookups.contents++;
    this.counts.lookups.flush++;
    const info = await stream.begun(signal);
    return info && { ...info, stream };
  }

  #slot(repository: CommandRepository): Slot {
    const key = slotKey(repository);
    const slot = this.#slots.get(key) ?? newSlot(key, repository);
    slot.lastUsedAt = performance.now();
    // The last entry of the map is the most recently used.
    this.#slots.delete(key);
    this.#slots.set(key, slot);
    this.#sweeper ??= this.#detached(() => setInterval(() => this.#sweep(), SWEEP_MS).unref());
    return slot;
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
      slot.stamp === stampOfProcess(slot.repository) &&
      performance.now() - current.startedAt < MAX_AGE_MS
    );
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

  async #alone(slot: Slot, lookup: Lookup, signal?: AbortSignal): Promise<void> {
    const turn = this.#dedicated.take(slot) ?? (await this.#dedicated.acquire(slot));
    try {
      if (lookup.settled) return;
      const run = this.borrow(slot.repository, signal);
      const process = new CatFileProcess(run, this.#options.delimiter, () =>
        settleDead(lookup, run.stderr()),
      );
      process.send([lookup]);
      process.retire();
      await run.exited;
    } catch (error) {
      lookup.reject(error);
    } finally {
      turn.release();
    }
  }

  /** Starts a slot's process. @throws as {@link borrow}. */
  #start(slot: Slot): CatFileProcess {
    return this.#detached(() => {
      const run = this.borrow(slot.repository);
      const process: CatFileProcess = new CatFileProcess(run, this.#options.delimiter, (unanswered) => {
        if (slot.current === process) slot.current = undefined;
        this.#onDied(slot, unanswered, run.stderr());
      });
      return process;
    });
  }

  #onDied(slot: Slot, unanswered: readonly Lookup[], stderr: string): void {
    const [suspect, ...innocent] = unanswered;
    if (suspect === undefined) return;
    if (this.#closed) settleDead(suspect, stderr);
    else void this.#alone(slot, suspect);
    for (const lookup of innocent) {
      lookup.deaths++;
      if (lookup.deaths > MAX_DEATHS) void this.#alone(slot, lookup);
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
    if (this.#slots.size > 0) return;
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }

  #drop(slot: Slot): void {
    if (this.#slots.get(slot.key) === slot) this.#slots.delete(slot.key);
    slot.current?.retire();
    slot.current = undefined;
  }
}
