import { AsyncLocalStorage } from 'node:async_hooks';
import type { GitRepository } from '../repository.ts';
import { fileStamp, stampOf } from '../repository-stamp.ts';
import type { GitProcess } from './git-process.ts';

/** How many processes may wait. */
export interface PoolLimits {
  readonly maxIdle: number;
  readonly maxIdlePerRepository: number;
}

/** A process that nobody needed for so long is ended. */
const IDLE_MS = 10_000;
/** No process is used for longer: git reads the time for its reflogs once, and forgets no object that it has read. */
const MAX_AGE_MS = 60_000;
const SWEEP_MS = 1_000;

interface Started {
  readonly variant: string;
  readonly stamp: string;
  readonly startedAt: number;
}

interface Idle extends Started {
  readonly process: GitProcess;
  readonly repository: GitRepository;
  readonly idleSince: number;
}

/**
 * git processes that have finished one job and wait for the next on their input: a job costs a few writes to a pipe instead of the start of
 * a process. A process belongs to one job at a time, and to a repository and a variant of the command.
 */
export class ProcessPool {
  readonly #limits: PoolLimits;
  readonly #start: (repository: GitRepository, variant: string) => GitProcess;
  /** Waiting processes, the one that waited longest first. */
  #idle: Idle[] = [];
  readonly #started = new WeakMap<GitProcess, Started>();
  /** Processes outlive the request that happened to start them, so they run in the context of the pool's maker. */
  readonly #detached = AsyncLocalStorage.snapshot();
  #sweeper: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param start starts the process, without hooks. */
  constructor(start: (repository: GitRepository, variant: string) => GitProcess, limits: PoolLimits) {
    this.#start = start;
    this.#limits = limits;
  }

  /** A waiting process, if there is one that still sees the repository as it is. It may be dying all the same. */
  take(repository: GitRepository, variant = ''): GitProcess | undefined {
    for (;;) {
      const at = this.#idle.findLastIndex((idle) => idle.variant === variant && isSame(idle.repository, repository));
      const [idle] = at === -1 ? [] : this.#idle.splice(at, 1);
      if (idle === undefined) return undefined;
      if (idle.stamp === stampWithSettings(repository) && performance.now() - idle.startedAt < MAX_AGE_MS) return idle.process;
      end(idle.process);
    }
  }

  /** A new process. */
  start(repository: GitRepository, variant = ''): GitProcess {
    const stamp = stampWithSettings(repository);
    const process = this.#detached(() => this.#start(repository, variant));
    this.#started.set(process, { variant, stamp, startedAt: performance.now() });
    return process;
  }

  /** Takes back a process of this pool that has finished its job and printed nothing more. */
  giveBack(repository: GitRepository, process: GitProcess): void {
    const started = this.#started.get(process);
    const ofSame = this.#idle.filter((idle) => isSame(idle.repository, repository));
    if (this.#closed || started === undefined || ofSame.length >= this.#limits.maxIdlePerRepository) {
      end(process);
      return;
    }
    this.#idle.push({ ...started, process, repository, idleSince: performance.now() });
    if (this.#idle.length > this.#limits.maxIdle) this.#dropWhere((each) => each === this.#idle[0]);
    this.#sweeper ??= setInterval(() => this.#sweep(), SWEEP_MS).unref();
  }

  /** Ends the waiting processes of a repository that is removed or replaced. */
  forget({ path }: GitRepository): void {
    this.#dropWhere((idle) => idle.repository.path === path);
  }

  /** Ends all waiting processes, and resolves when they are gone. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweeper);
    const processes = this.#idle.map(({ process }) => process);
    this.#dropWhere(() => true);
    await Promise.all(processes.map(({ exited }) => exited));
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

/** git ends with its input. One that does not is killed with the server. */
function end(process: GitProcess): void {
  process.stdin.end();
}

function isSame(a: GitRepository, b: GitRepository): boolean {
  return (
    a.path === b.path &&
    a.objectDirectory === b.objectDirectory &&
    a.alternateObjectDirectories.join('\0') === b.alternateObjectDirectories.join('\0')
  );
}

/** git reads the repository's settings at its start. */
function stampWithSettings(repository: GitRepository): string {
  return `${stampOf(repository)}:${fileStamp(`${repository.path}/config`)}`;
}
