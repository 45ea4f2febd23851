import { AsyncLocalStorage } from 'node:async_hooks';
import type { GitProcess } from '../command/git-process.ts';
import type { GitRepository } from '../repository.ts';
import { fileStamp, stampOf } from '../repository-stamp.ts';

/** Waiting processes in all, and those of one repository. One takes some 4 MiB. */
const MAX_IDLE = 64;
const MAX_IDLE_PER_REPOSITORY = 16;
/** A process that nobody needed for so long is ended. */
const IDLE_MS = 10_000;
/** No process is used for longer: git reads the time for its reflogs once. */
const MAX_AGE_MS = 60_000;
const SWEEP_MS = 1_000;

interface Idle {
  readonly process: GitProcess;
  readonly repository: GitRepository;
  readonly stamp: string;
  readonly startedAt: number;
  readonly idleSince: number;
}

/**
 * `git update-ref --stdin` processes that have finished one change of references and wait for the next: a change costs a few writes to a
 * pipe instead of the start of a process. git takes one transaction after the other from its input, and forgets in between what it knew
 * about references; a failure ends the process. A process belongs to one change at a time.
 */
export class UpdateRefPool {
  readonly #start: (repository: GitRepository) => GitProcess;
  /** Waiting processes, the one that waited longest first. */
  #idle: Idle[] = [];
  readonly #startedAt = new WeakMap<GitProcess, { readonly at: number; readonly stamp: string }>();
  /** Processes outlive the request that happened to start them, so they run in the context of the pool's maker. */
  readonly #detached = AsyncLocalStorage.snapshot();
  #sweeper: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param start starts the process, without hooks. */
  constructor(start: (repository: GitRepository) => GitProcess) {
    this.#start = start;
  }

  /** A waiting process, if there is one that still sees the repository as it is. It may be dying all the same. */
  take(repository: GitRepository): GitProcess | undefined {
    for (;;) {
      const at = this.#idle.findLastIndex((idle) => isSame(idle.repository, repository));
      const [idle] = at === -1 ? [] : this.#idle.splice(at, 1);
      if (idle === undefined) return undefined;
      if (idle.stamp === stampWithSettings(repository) && performance.now() - idle.startedAt < MAX_AGE_MS) return idle.process;
      end(idle.process);
    }
  }

  /** A new process. */
  start(repository: GitRepository): GitProcess {
    const stamp = stampWithSettings(repository);
    const process = this.#detached(() => this.#start(repository));
    this.#startedAt.set(process, { at: performance.now(), stamp });
    return process;
  }

  /** Takes back a process of this pool that has committed and nothing else. */
  giveBack(repository: GitRepository, process: GitProcess): void {
    const started = this.#startedAt.get(process);
    const ofSame = this.#idle.filter((idle) => isSame(idle.repository, repository));
    if (this.#closed || started === undefined || ofSame.length >= MAX_IDLE_PER_REPOSITORY) {
      end(process);
      return;
    }
    const idle = { process, repository, stamp: started.stamp, startedAt: started.at, idleSince: performance.now() };
    this.#idle.push(idle);
    if (this.#idle.length > MAX_IDLE) this.#dropWhere((each) => each === this.#idle[0]);
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
