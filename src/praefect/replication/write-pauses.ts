import { createHash } from 'node:crypto';
import { abortable } from '#base/async/abortable';
import { waitAtMost } from '#base/async/wait-at-most';
import type { RepositoryKey } from '../model/repository-key.ts';

/** Longest time for which one pause holds writes back. */
export const PAUSE_LIMIT_MS = 4000;
/** Longest wait of a pause for the writes that run when it begins. Some take minutes. */
const RUNNING_LIMIT_MS = 1000;

export interface WritePausesOptions {
  /** Announces pauses to other Praefects, if there are any. */
  readonly announce?: AnnouncePause;
  /** Default: 4 s. */
  readonly limitMs?: number;
  /** Default: 1 s. */
  readonly runningLimitMs?: number;
}

/** Holds back the writes of this process until it is disposed, or its time is over. */
export interface Hold extends Disposable {
  readonly ended: Promise<void>;
}

export interface WritePause extends AsyncDisposable {
  /** Aborted when its time is over and writes continue. */
  readonly signal: AbortSignal;
}

/**
 * Makes the other Praefects hold back writes, by the key of a repository. Disposing the result ends
 * that and never rejects. They also continue by themselves when the time of a pause is over.
 *
 * @throws when they cannot be notified.
 */
export type AnnouncePause = (key: string) => Promise<AsyncDisposable>;

/**
 * Holds back the writes to a repository for a short time, so that a copy of it is up to date when
 * it ends. Correctness does not depend on it: a write that is not held back makes the copy outdated
 * as before.
 */
export class WritePauses {
  readonly #announce: AnnouncePause | undefined;
  readonly #limitMs: number;
  readonly #runningLimitMs: number;
  /** Pauses by the key of their repository. */
  readonly #holds = new Map<string, Set<Promise<void>>>();
  /** Writes that run in this process, by the key of their repository. */
  readonly #writes = new Map<string, Set<Promise<void>>>();

  constructor({
    announce,
    limitMs = PAUSE_LIMIT_MS,
    runningLimitMs = RUNNING_LIMIT_MS,
  }: WritePausesOptions = {}) {
    this.#announce = announce;
    this.#limitMs = limitMs;
    this.#runningLimitMs = runningLimitMs;
  }

  /**
   * Begins a write: waits for the current pauses. Dispose the result when the write is recorded.
   *
   * @throws the signal's reason when it is aborted.
   */
  async write(repository: RepositoryKey, signal: AbortSignal): Promise<Disposable> {
    const key = lockKey(repository);
    const holds = this.#holds.get(key);
    if (holds !== undefined) await abortable(Promise.all(holds), signal);
    return add(this.#writes, key);
  }

  /**
   * Holds back new writes to a repository, here and in other Praefects, until disposed or for the
   * limit. Returns when the writes of this process have ended, or after a second.
   *
   * @throws as {@link AnnouncePause}.
   */
  async pause(repository: RepositoryKey): Promise<WritePause> {
    const key = lockKey(repository);
    await using building = new AsyncDisposableStack();
    const signal = AbortSignal.timeout(this.#limitMs);
    building.use(this.hold(key));
    if (this.#announce !== undefined) building.use(await this.#announce(key));
    await waitAtMost(Promise.all(this.#writes.get(key) ?? []), this.#runningLimitMs);
    const resources = building.move();
    return { signal, [Symbol.asyncDispose]: () => resources.disposeAsync() };
  }

  /** Holds back new writes of this process. */
  hold(key: string): Hold {
    const hold = add(this.#holds, key);
    const timer = setTimeout(() => hold[Symbol.dispose](), this.#limitMs).unref();
    return {
      ended: hold.ended,
      [Symbol.dispose]: () => {
        clearTimeout(timer);
        hold[Symbol.dispose]();
      },
    };
  }
}

/** Adds a promise under a key. Disposing the result removes and resolves it. */
function add(all: Map<string, Set<Promise<void>>>, key: string): Hold {
  const { promise, resolve } = Promise.withResolvers<void>();
  const present = all.get(key) ?? new Set();
  all.set(key, present.add(promise));
  return {
    ended: promise,
    [Symbol.dispose]: () => {
      resolve();
      present.delete(promise);
      if (present.size === 0 && all.get(key) === present) all.delete(key);
    },
  };
}

/**
 * Returns the key of a repository. It is short, as notifications of the database have at most 8000
 * bytes.
 */
function lockKey({ virtualStorage, relativePath }: RepositoryKey): string {
  return createHash('sha256').update(`${virtualStorage}\0${relativePath}`).digest('hex');
}
