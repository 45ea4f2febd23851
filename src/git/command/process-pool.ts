import { AsyncLocalStorage } from 'node:async_hooks';
import { abortable } from '#base/async/abortable';
import { limitedSignal } from '#base/async/limited-signal';
import { timeLeftMs } from '#base/async/time-left';
import { fileStamp } from '#base/files/file-stamp';
import type { GitDirectory } from '../repository-files/git-directory.ts';
import { stampOfRepository } from '../repository-files/repository-stamp.ts';
import type { CommandRepository } from './command-repository.ts';
import type { GitProcess } from './process/git-process.ts';

/** Maximum numbers of waiting processes. */
export interface PoolLimits {
  readonly maxIdle: number;
  readonly maxIdlePerRepository: number;
  /**
   * Processes that may be busy for one repository before {@link ProcessPool.takeSoon} waits. More
   * of them than processors only need more memory. Default: no limit.
   */
  readonly maxBusyPerRepository?: number;
}

/** Idle time after which a process is ended. */
const IDLE_MS = 10_000;
/**
 * Maximum age of a process: git reads the time for its reflogs once, and keeps every object that it
 * has read.
 */
const MAX_AGE_MS = 60_000;
const SWEEP_MS = 1_000;
/**
 * Limit of a wait for a busy process. A job that has taken longer does not count as busy: its
 * output is large, or its reader is slow.
 */
const MAX_WAIT_MS = 100;

interface Started {
  readonly variant: string;
  readonly stamp: string;
  readonly startedAt: number;
}

interface Idle extends Started {
  readonly process: GitProcess;
  readonly repository: CommandRepository;
  readonly idleSince: number;
}

interface Busy {
  readonly variant: string;
  readonly repository: GitDirectory;
  readonly since: number;
}

interface Waiting {
  readonly variant: string;
  readonly repository: GitDirectory;
  readonly wake: () => void;
}

/**
 * git processes that have finished one job and wait for the next on standard input, so that a job
 * costs a few writes instead of the start of a process. A process serves one job at a time, for one
 * repository and one variant of the command.
 */
export class ProcessPool {
  readonly #limits: PoolLimits;
  readonly #start: (repository: CommandRepository, variant: string) => GitProcess;
  /** Idle processes, the one that has waited longest first. */
  #idle: Idle[] = [];
  readonly #started = new WeakMap<GitProcess, Started>();
  readonly #busy = new Map<GitProcess, Busy>();
  /** Jobs that wait for a process, the first one first. */
  readonly #waiting = new Set<Waiting>();
  /**
   * Runs processes in the context of the pool's creator, because they outlive the request that
   * started them.
   */
  readonly #detached = AsyncLocalStorage.snapshot();
  #sweeper: NodeJS.Timeout | undefined;
  #closed = false;

  /** Creates a pool. @param start starts the process, without hooks. */
  constructor(start: (repository: CommandRepository, variant: string) => GitProcess, limits: PoolLimits) {
    this.#start = start;
    this.#limits = limits;
  }

  /**
   * Returns a waiting process, if there is one and the repository is unchanged. It may still end at
   * any moment.
   */
  take(repository: CommandRepository, variant = ''): GitProcess | undefined {
    for (;;) {
      const at = this.#idle.findLastIndex(
        (idle) => idle.variant === variant && isSame(idle.repository, repository),
      );
      const [idle] = at === -1 ? [] : this.#idle.splice(at, 1);
      if (idle === undefined) return undefined;
      if (idle.stamp === stampWithSettings(repository) && performance.now() - idle.startedAt < MAX_AGE_MS) {
        this.#busy.set(idle.process, { variant, repository, since: performance.now() });
        return idle.process;
      }
      end(idle.process);
    }
  }

  /**
   * Returns a waiting process as {@link take} does. If many are busy, it waits for one of them for
   * a moment: until `signal` is aborted at the latest.
   */
  async takeSoon(
    repository: CommandRepository,
    variant: string,
    signal: AbortSignal,
  ): Promise<GitProcess | undefined> {
    const until = performance.now() + MAX_WAIT_MS;
    for (;;) {
      const process = this.take(repository, variant);
      const leftMs = timeLeftMs(until);
      const isFree = this.#jobs(repository, variant, MAX_WAIT_MS) < this.#maxBusy;
      if (process !== undefined || leftMs === 0 || signal.aborted || isFree) return process;
      await this.#released({ repository, variant }, leftMs, signal);
    }
  }

  /** Starts a new process. */
  start(repository: CommandRepository, variant = ''): GitProcess {
    const stamp = stampWithSettings(repository);
    const process = this.#detached(() => this.#start(repository, variant));
    this.#started.set(process, { variant, stamp, startedAt: performance.now() });
    this.#busy.set(process, { variant, repository, since: performance.now() });
    void process.exited.then(() => this.#release(process));
    return process;
  }

  /** Returns a process of this pool that has finished its job and has no further output. */
  giveBack(repository: CommandRepository, process: GitProcess): void {
    const started = this.#started.get(process);
    const ofSame = this.#idle.filter((idle) => isSame(idle.repository, repository));
    const isTooMany =
      started === undefined ||
      ofSame.length >= this.#limits.maxIdlePerRepository ||
      this.#jobs(repository, started.variant) > this.#maxBusy;
    if (this.#closed || isTooMany) {
      end(process); // its exit releases it
      return;
    }
    this.#idle.push({ ...started, process, repository, idleSince: performance.now() });
    if (this.#idle.length > this.#limits.maxIdle) this.#dropWhere((each) => each === this.#idle[0]);
    this.#sweeper ??= setInterval(() => this.#sweep(), SWEEP_MS).unref();
    this.#release(process);
  }

  /** Ends the waiting processes of a repository that is removed or replaced. */
  forget({ path }: GitDirectory): void {
    this.#dropWhere((idle) => idle.repository.path === path);
  }

  /** Ends all waiting processes, and resolves when they have ended. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweeper);
    const processes = this.#idle.map(({ process }) => process);
    this.#dropWhere(() => true);
    await Promise.all(processes.map(({ exited }) => exited));
  }

  /**
   * Counts the jobs of a repository and variant.
   *
   * @param maxAgeMs counts only those that began since then.
   */
  #jobs(repository: GitDirectory, variant: string, maxAgeMs = Number.POSITIVE_INFINITY): number {
    const oldest = performance.now() - maxAgeMs;
    let count = 0;
    for (const busy of this.#busy.values())
      if (busy.since >= oldest && isFor(busy, repository, variant)) count++;
    return count;
  }

  /** Notes that a process has finished its job, or has ended. */
  #release(process: GitProcess): void {
    const busy = this.#busy.get(process);
    if (busy === undefined) return;
    this.#busy.delete(process);
    for (const waiting of this.#waiting) {
      if (!isFor(waiting, busy.repository, busy.variant)) continue;
      this.#waiting.delete(waiting);
      waiting.wake();
      return;
    }
  }

  /** Resolves when a process is released for this job, after `ms`, or when `signal` is aborted. */
  async #released(job: Omit<Waiting, 'wake'>, ms: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = { ...job, wake: resolve };
    this.#waiting.add(waiting);
    using limited = limitedSignal(ms, signal);
    await abortable(promise, limited.signal).catch(() => {}); // the caller looks again
    this.#waiting.delete(waiting);
  }

  get #maxBusy(): number {
    return this.#limits.maxBusyPerRepository ?? Number.POSITIVE_INFINITY;
  }

  #sweep(): void {
    const oldest = performance.now() - IDLE_MS;
    this.#dropWhere(({ idleSince }) => idleSince < oldest);
    if (this.#idle.length > 0) return;
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }

  #dropWhere(unwanted: (idle: Idle) => boolean): void {
    const dropped = this.#idle.filter(unwanted);
    this.#idle = this.#idle.filter((idle) => !dropped.includes(idle));
    for (const { process } of dropped) end(process);
  }
}

/** Ends a process by closing its input. One that continues is killed with the server. */
function end(process: GitProcess): void {
  process.stdin.end();
}

function isSame(a: GitDirectory, b: GitDirectory): boolean {
  return (
    a.path === b.path &&
    a.objectDirectory === b.objectDirectory &&
    a.alternateObjectDirectories.join('\0') === b.alternateObjectDirectories.join('\0')
  );
}

function isFor(job: Busy | Waiting, repository: GitDirectory, variant: string): boolean {
  return job.variant === variant && isSame(job.repository, repository);
}

/** Returns a stamp that includes the repository's settings, which git reads at its start. */
function stampWithSettings(repository: GitDirectory): string {
  return `${stampOfRepository(repository)}:${fileStamp(`${repository.path}/config`)}`;
}
