import { AsyncLocalStorage } from 'node:async_hooks';
import { GitalyError } from '#base/gitaly-error';
import type { GitProcess } from '../command/git-process.ts';
import type { GitRepository } from '../repository.ts';
import { stampOf } from '../repository-stamp.ts';
import { CatFileProcess } from './cat-file-process.ts';
import { isParsable } from './is-parsable.ts';
import { type Found, Lookup } from './lookup.ts';
import { parseObjectId, parsePlace, SmallObjectCache } from './small-object-cache.ts';

export interface CatFilePoolOptions {
  /** Starts a cat-file on a repository, with pipes on standard input and output. */
  readonly start: (repository: GitRepository, signal?: AbortSignal) => GitProcess;
  /** Ends requests and answers: NUL where git knows `-Z`, else LF. */
  readonly delimiter: 0 | 10;
  /** Idle processes beyond this are ended, least recently used first. Gitaly: `git.catfile_cache_size`. */
  readonly maxProcesses: number;
  /** A process that nobody asked for so long is ended. */
  readonly idleMs: number;
}

/** Counts for metrics. Gitaly's names: catfile_cache (hit, miss), catfile_processes, catfile_lookups. */
export interface CatFileCounts {
  hits: number;
  misses: number;
  started: number;
  running: number;
  lookups: { info: number; contents: number; flush: number };
}

/** A process is replaced after this long, whatever it does: git keeps files mapped that were removed meanwhile. */
const MAX_AGE_MS = 5 * 60_000;
/** Streams and difficult revisions hold processes beyond the budget; this many times the budget is where it ends. */
const HARD_LIMIT_FACTOR = 4;
/** How many processes may die under a lookup before it is the suspect and gets a process of its own. */
const MAX_DEATHS = 2;
/** Processes for single lookups that one repository may have at once; more wait. */
const MAX_ALONE = 4;
const SWEEP_MS = 1_000;
const MAILMAP = Buffer.from('HEAD:.mailmap');
/** Gitaly's processes read it once in their life, which may be minutes. */
const MAILMAP_AGE_MS = 1_000;

/** Everything known about one repository (with one set of object directories). */
interface Slot {
  readonly key: string;
  readonly repository: GitRepository;
  current: CatFileProcess | undefined;
  /** Lookups of this tick, not sent yet. */
  queue: Lookup[];
  /** What the repository looked like when `current` was started. */
  stamp: string;
  /** Whether the repository was found to look like that in this turn of the event loop, so that the next lookups need not look. */
  isStampFresh: boolean;
  /** Of `current`; never used twice. */
  generation: number;
  lastUsedAt: number;
  /** Lookups that have a process of their own, and those that wait for one. */
  runningAlone: number;
  readonly waitingAlone: { readonly lookup: Lookup; readonly signal: AbortSignal | undefined }[];
  mailmap: { readonly info: Promise<Found | undefined>; readonly askedAt: number } | undefined;
}

/** cat-file processes shared by everybody who reads a repository. See README.md for the invariants and the states. */
export class CatFilePool {
  readonly counts: CatFileCounts = { hits: 0, misses: 0, started: 0, running: 0, lookups: { info: 0, contents: 0, flush: 0 } };
  readonly #options: CatFilePoolOptions;
  /** In order of use, the least recently used first. */
  readonly #slots = new Map<string, Slot>();
  readonly #processes = new Set<CatFileProcess>();
  readonly #small = new SmallObjectCache();
  #lastGeneration = 0;
  /** Processes that belong to one reader each. */
  readonly #lent = new Set<GitProcess>();
  /** Processes outlive the request that happened to start them, so they run in the context of the pool's maker. */
  readonly #detached = AsyncLocalStorage.snapshot();
  #sweeper: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: CatFilePoolOptions) {
    this.#options = options;
  }

  /** An object that the repository's shared process has read before, by its id or its place (see `small-object-cache.ts`). */
  atHand(repository: GitRepository, revision: Buffer): Found | undefined {
    const slot = this.#slots.get(keyOf(repository));
    if (slot === undefined || !this.#isCurrent(slot)) return undefined;
    const byId = parseObjectId(revision);
    const place = byId === undefined ? parsePlace(revision) : undefined;
    if (byId === undefined && place === undefined) return undefined;
    this.#touch(slot);
    if (place !== undefined) return this.#small.getAt(slot.generation, place);
    const known = byId && this.#small.get(slot.generation, byId.oid);
    return byId?.type === undefined || byId.type === known?.type ? known : undefined;
  }

  /** Asks the repository's shared process; the answer comes in `lookup.answer`. */
  submit(repository: GitRepository, lookup: Lookup): void {
    const slot = this.#slot(repository);
    if (lookup.mode !== 'info') this.#remember(slot, lookup);
    this.#enqueue(slot, lookup);
  }

  /**
   * The info of `HEAD:.mailmap`, at most {@link MAILMAP_AGE_MS} old: it is needed with every commit, changes once a year, and costs
   * git as much as the commit itself. When it has to be asked for, the question travels with the commit's.
   */
  mailmapInfo(repository: GitRepository): Promise<Found | undefined> {
    const slot = this.#slot(repository);
    const now = performance.now();
    if (slot.mailmap !== undefined && now - slot.mailmap.askedAt < MAILMAP_AGE_MS) return slot.mailmap.info;
    const lookup = new Lookup('info', MAILMAP, 0);
    this.#enqueue(slot, lookup);
    // Git goes on without a mailmap that it cannot read; who asks for a commit learns of a dead process by the commit.
    const info = lookup.answer.catch(() => undefined);
    slot.mailmap = { info, askedAt: now };
    return info;
  }

  /**
   * Asks a process that is used for nothing else: for revisions that may kill it, or keep it busy for long. It is ended when
   * `signal` is aborted.
   */
  submitAlone(repository: GitRepository, lookup: Lookup, signal?: AbortSignal): void {
    this.#alone(this.#slot(repository), lookup, signal);
  }

  /**
   * Starts a process for one reader of many objects, who reads it as slowly as it likes and ends it itself. It counts as any other.
   *
   * @throws {GitalyError} as a lookup does when too many run; CANCELLED or DEADLINE_EXCEEDED when `signal` is already aborted.
   */
  lend(repository: GitRepository, signal: AbortSignal): GitProcess {
    this.#admit();
    const run = this.#options.start(repository, signal);
    this.#lent.add(run);
    this.counts.started++;
    this.#countRunning();
    void run.exited.then(() => {
      this.#lent.delete(run);
      this.#countRunning();
    });
    return run;
  }

  /** The byte that ends requests and answers of a process that was lent. */
  get delimiter(): number {
    return this.#options.delimiter;
  }

  /** Ends the processes of a repository that is removed or replaced. What is pending is still answered. */
  forget({ path }: GitRepository): void {
    for (const slot of this.#slots.values()) {
      if (slot.repository.path === path) this.#drop(slot);
    }
  }

  /** Ends the process that sees exactly these object directories: a quarantine that is dropped. */
  release(repository: GitRepository): void {
    const slot = this.#slots.get(keyOf(repository));
    if (slot !== undefined) this.#drop(slot);
  }

  /** Ends all processes, and resolves when they are gone. Pending lookups fail. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweeper);
    this.#slots.clear();
    await Promise.all([
      ...[...this.#processes].map((process) => process.kill()),
      ...[...this.#lent].map((run) => run[Symbol.asyncDispose]()),
    ]);
  }

  #slot(repository: GitRepository): Slot {
    const key = keyOf(repository);
    const known = this.#slots.get(key);
    const slot = known ?? newSlot(key, repository);
    this.#touch(slot);
    return slot;
  }

  #touch(slot: Slot): void {
    slot.lastUsedAt = performance.now();
    // Last in the map is last used.
    this.#slots.delete(slot.key);
    this.#slots.set(slot.key, slot);
  }

  #enqueue(slot: Slot, lookup: Lookup): void {
    slot.queue.push(lookup);
    if (slot.queue.length > 1) return;
    // A process that works on something will not miss us; what else comes in this turn of the loop travels in the same write.
    if (slot.current === undefined || slot.current.isIdle) process.nextTick(() => this.#flush(slot));
    else setImmediate(() => this.#flush(slot));
  }

  #flush(slot: Slot): void {
    const lookups = slot.queue.filter((lookup) => !lookup.settled);
    slot.queue = [];
    if (lookups.length === 0) return;
    try {
      this.#currentOf(slot).send(lookups);
      // Forgotten while these waited: nobody would end the process later.
      if (this.#slots.get(slot.key) !== slot) this.#drop(slot);
    } catch (error) {
      for (const lookup of lookups) lookup.reject(error);
      return;
    }
    this.counts.lookups.flush++;
    for (const lookup of lookups) this.counts.lookups[lookup.mode === 'info' ? 'info' : 'contents']++;
  }

  /** Keeps what the lookup brings, if it is small, for those who ask for it by its id or its path. */
  #remember(slot: Slot, lookup: Lookup): void {
    const { generation } = slot;
    lookup.answer.then(
      (found) => {
        if (found?.data === undefined || slot.generation !== generation) return;
        // It would be found by its type, too.
        if (!isParsable(found.type, found.data)) return;
        const place = parsePlace(lookup.revision);
        if (place === undefined) this.#small.add(generation, found);
        else this.#small.addAt(generation, place, found);
      },
      () => {}, // whoever asked is told
    );
  }

  /** Whether the slot's process still stands for what is on disk. */
  #isCurrent(slot: Slot): boolean {
    const { current } = slot;
    return (
      current !== undefined && !current.isClosed && this.#isUnchanged(slot) && performance.now() - current.startedAt < MAX_AGE_MS
    );
  }

  /** Whether the repository is the one that the slot's process was started on. */
  #isUnchanged(slot: Slot): boolean {
    if (slot.isStampFresh) return true;
    if (slot.stamp !== stampOf(slot.repository)) return false;
    slot.isStampFresh = true;
    setImmediate(() => {
      slot.isStampFresh = false;
    });
    return true;
  }

  /** The shared process, a new one where the old one is gone, too old, or looks at what is no longer there. */
  #currentOf(slot: Slot): CatFileProcess {
    const { current } = slot;
    if (current !== undefined && this.#isCurrent(slot)) {
      this.counts.hits++;
      return current;
    }
    this.counts.misses++;
    current?.retire();
    slot.current = undefined;
    slot.stamp = stampOf(slot.repository);
    slot.generation = ++this.#lastGeneration;
    slot.current = this.#start(slot);
    return slot.current;
  }

  #alone(slot: Slot, lookup: Lookup, signal?: AbortSignal): void {
    slot.waitingAlone.push({ lookup, signal });
    this.#nextAlone(slot);
  }

  /** Starts as many of those that want a process of their own as may run at once. */
  #nextAlone(slot: Slot): void {
    while (slot.runningAlone < MAX_ALONE) {
      const next = slot.waitingAlone.shift();
      if (next === undefined) return;
      if (!next.lookup.settled) this.#startAlone(slot, next.lookup, next.signal);
    }
  }

  #startAlone(slot: Slot, lookup: Lookup, signal: AbortSignal | undefined): void {
    try {
      const process = this.#start(slot, lookup);
      slot.runningAlone++;
      const onAbort = (): void => void process.kill();
      signal?.addEventListener('abort', onAbort, { once: true });
      const done = (): void => signal?.removeEventListener('abort', onAbort);
      lookup.answer.then(done, done);
      process.send([lookup]);
      process.retire();
    } catch (error) {
      lookup.reject(error);
    }
  }

  /** @throws {GitalyError} RESOURCE_EXHAUSTED when far too many run; whatever starting a process throws. */
  #start(slot: Slot, only?: Lookup): CatFileProcess {
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

  #onDied(slot: Slot, process: CatFileProcess, unanswered: Lookup[], only: Lookup | undefined): void {
    this.#processes.delete(process);
    this.#countRunning();
    if (slot.current === process) slot.current = undefined;
    if (only !== undefined) {
      slot.runningAlone--;
      this.#nextAlone(slot);
    }
    const [suspect, ...innocent] = unanswered;
    if (suspect === undefined) return;
    if (suspect === only || this.#closed) settleDead(suspect, process.stderr);
    else this.#alone(slot, suspect);
    for (const lookup of innocent) {
      lookup.deaths++;
      if (lookup.deaths > MAX_DEATHS) this.#alone(slot, lookup);
      else this.#enqueue(slot, lookup);
    }
  }

  /** @throws {GitalyError} RESOURCE_EXHAUSTED when far too many run, UNAVAILABLE when the server ends. */
  #admit(): void {
    if (this.#closed) throw new GitalyError('UNAVAILABLE', 'the server is shutting down');
    this.#makeRoom();
    if (this.counts.running >= this.#options.maxProcesses * HARD_LIMIT_FACTOR) {
      throw new GitalyError('RESOURCE_EXHAUSTED', 'too many processes are reading objects');
    }
  }

  #countRunning(): void {
    this.counts.running = this.#processes.size + this.#lent.size;
  }

  /** Ends the least recently used idle process when the budget is spent. */
  #makeRoom(): void {
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
    this.#small.clear();
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }

  #drop(slot: Slot): void {
    if (this.#slots.get(slot.key) === slot) this.#slots.delete(slot.key);
    slot.current?.retire();
    slot.current = undefined;
  }
}

function keyOf({ path, objectDirectory, alternateObjectDirectories }: GitRepository): string {
  return [path, objectDirectory, ...alternateObjectDirectories].join('\0');
}

function newSlot(key: string, repository: GitRepository): Slot {
  return {
    key,
    repository,
    current: undefined,
    queue: [],
    stamp: '',
    isStampFresh: false,
    generation: 0,
    lastUsedAt: 0,
    runningAlone: 0,
    waitingAlone: [],
    mailmap: undefined,
  };
}

/** An object file without a byte in it is no object for newer versions of git; older ones die of it when they follow it. */
const EMPTY_OBJECT = /^error: object file .* is empty$/m;
/** git did not even begin. */
const REFUSED = /^fatal: (?:not a git repository|bad config |Expected git repo version|unknown repository extension)/m;

/** Whether git found the repository unusable, rather than an object in it. */
export function isRefusal(stderr: string): boolean {
  return REFUSED.test(stderr);
}

/** Tells the one who asked what became of git. */
function settleDead(lookup: Lookup, stderr: string): void {
  if (EMPTY_OBJECT.test(stderr)) lookup.resolve(undefined);
  else lookup.reject(deadError(stderr));
}

/** The error of a question that git died of. Gitaly's words, which reach clients behind the prefix of their RPC. */
export function deadError(stderr: string): GitalyError {
  const message = isRefusal(stderr) ? 'flushing: write |1: broken pipe' : 'read info line: EOF';
  return new GitalyError('UNKNOWN', message, { metadata: { stderr } });
}
