import { GitalyError } from '#base/gitaly-error';
import { LimitRefusal } from '#base/keyed-limit';
import type { Logger } from '#platform/log/logger';
import type { MethodInfo } from '#wire/method-info';
import type { RepositoryKey } from '../model/repository-key.ts';
import { AllWriteLocks } from '../transactions/all-write-locks.ts';
import { SerializedWrites } from '../transactions/serialized-writes.ts';
import type { Serialized } from '../transactions/transactions.ts';
import type { WriteLocks } from '../transactions/write-locks.ts';

/**
 * Short writes whose nodes do not vote before they lock references. They wait before they are sent
 * to the nodes. No hook of a user runs in them.
 */
const WAITS_BEFORE = new Set(['WriteRef']);

/** Git votes in these after it has locked references, and users' hooks run before their first vote. */
const PUSHES = new Set(['PostReceivePack', 'SSHReceivePack']);

/** Changes of many references: nodes of ours wait before they lock them, which is not a vote. */
const WAITS_ON_NODES = new Set([
  'FetchBundle',
  'FetchRemote',
  'FetchSourceBranch',
  'RestoreRepository',
  'RewriteHistory',
  'UpdateReferences',
  'UserMergeToRef',
  'UserRebaseToRef',
]);

/** Bit of the ids of calls that wait before they are sent; transactions have others. */
const BEFORE_TRANSACTION = 1n << 31n;

export interface WriteOrderOptions {
  /** False: only writes that request it wait. */
  readonly isOn: boolean;
  /** Writes wait for those of other Praefects, too. */
  readonly isShared?: boolean;
  /** Locks among all Praefects, for writes that request it; `undefined` without a database. */
  readonly sharedLocks: WriteLocks | undefined;
  /** Locks among the writes of this Praefect. */
  readonly ownLocks: WriteLocks;
  readonly logger: Logger;
}

/**
 * Lets the nodes of a repository see its writes in one order. Two writes that lock references on
 * different nodes in different orders would wait for each other until git's time-outs refuse both.
 */
export class WriteOrder {
  readonly #isOn: boolean;
  readonly #locks: WriteLocks;
  #entered = 0n;
  readonly #own: SerializedWrites;
  readonly #shared: SerializedWrites | undefined;

  constructor({ isOn, isShared = false, ownLocks: own, sharedLocks, logger }: WriteOrderOptions) {
    this.#isOn = isOn;
    this.#locks = isShared && sharedLocks !== undefined ? new AllWriteLocks(own, sharedLocks) : own;
    this.#own = new SerializedWrites(this.#locks, logger);
    this.#shared = sharedLocks && new SerializedWrites(sharedLocks, logger);
  }

  /**
   * Waits until a write may be sent to the nodes. Disposing the result lets the next one go on.
   *
   * @throws {GitalyError} RESOURCE_EXHAUSTED when too many writes wait; the signal's reason when it
   *   is aborted.
   */
  async enter(method: MethodInfo, repository: RepositoryKey, signal: AbortSignal): Promise<Disposable> {
    if (!this.#isOn || !WAITS_BEFORE.has(method.name)) return { [Symbol.dispose]() {} };
    this.#entered = (this.#entered + 1n) % BEFORE_TRANSACTION;
    const id = BEFORE_TRANSACTION | this.#entered;
    const lock = await this.#locks.lock(repository, id, signal).catch((cause: unknown) => {
      signal.throwIfAborted();
      if (!(cause instanceof LimitRefusal)) throw cause;
      throw new GitalyError('RESOURCE_EXHAUSTED', 'too many writes wait for the repository', { cause });
    });
    return { [Symbol.dispose]: () => void lock.release().catch(() => {}) }; // the lease ends
  }

  /**
   * Returns how the votes of a write wait for those of others; `undefined` if they do not.
   *
   * @param write.isShared the write waits for those of other Praefects, too.
   * @param write.primary the storage of the primary.
   */
  ofVotes(
    method: MethodInfo,
    repository: RepositoryKey,
    { isShared, primary }: { readonly isShared: boolean; readonly primary: string },
  ): Serialized | undefined {
    const common = { repository, primary };
    if (isShared && this.#shared !== undefined)
      return { ...common, start: 'preparing', writes: this.#shared };
    const waits = this.#isOn && !WAITS_BEFORE.has(method.name);
    const start = PUSHES.has(method.name) ? 'primary' : 'preparing';
    return waits ? { ...common, start, writes: this.#own } : undefined;
  }

  /** Reports whether nodes of ours shall wait for the order before they lock references. */
  isOnNodes(method: MethodInfo): boolean {
    return this.#isOn && WAITS_ON_NODES.has(method.name);
  }
}
