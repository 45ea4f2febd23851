import type { Message } from '@bufbuild/protobuf';
import { abortable } from '#base/async/abortable';
import { GitalyError } from '#base/gitaly-error';
import { LimitRefusal } from '#base/limits/limit-refusal';
import type { Logger } from '#platform/log/logger';
import type { MethodInfo } from '#wire/method-info';
import type { RepositoryKey } from '../model/repository-key.ts';
import { AllWriteLocks } from '../transactions/all-write-locks.ts';
import type { LockedReferences } from '../transactions/conflict-queue.ts';
import { SerializedWrites } from '../transactions/serialized-writes.ts';
import type { EnteredWrite, Serialized } from '../transactions/transactions.ts';
import type { WriteLock, WriteLocks } from '../transactions/write-locks.ts';
import { lockedReferences } from './locked-references.ts';

/**
 * Short writes whose nodes do not vote before they lock references. They wait before they are sent
 * to the nodes. No hook of a user runs in them.
 */
const WAITS_BEFORE = new Set(['WriteRef']);

/** Pushes: git votes after it has locked references, and users' hooks run before the first vote. */
const PUSHES = new Set(['PostReceivePack', 'SSHReceivePack']);

/** Changes of many references. Our nodes wait before they lock these, which is not a vote. */
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

/**
 * Time for which writes to a repository lock all references because a node had to: its references
 * are not separate files, or the reference of a write was a symbolic one.
 */
const WHOLE_MS = 10 * 60_000;
/** Number of repositories that are remembered; the oldest one is forgotten first. */
const MAX_WHOLE = 10_000;

/** A write that may be sent to its nodes. Disposing it lets the next write start. */
export interface Entered extends EnteredWrite, Disposable {
  /** Reports whether it has locked some references only. */
  readonly isNarrow: boolean;
}

const UNORDERED: Entered = { isNarrow: false, widen: async () => {}, [Symbol.dispose]() {} };

/** A call that may have to wait. */
export interface OrderedCall {
  readonly method: MethodInfo;
  readonly repository: RepositoryKey;
  readonly request: Message;
}

export interface WriteOrderOptions {
  /** False if only those writes wait that request it. */
  readonly isOn: boolean;
  /** True if writes also wait for the writes of other Praefects. */
  readonly isShared?: boolean;
  /** Locks among all Praefects, for writes that request it; `undefined` without a database. */
  readonly sharedLocks: WriteLocks | undefined;
  /** Locks among the writes of this Praefect. */
  readonly ownLocks: WriteLocks;
  readonly logger: Logger;
}

/**
 * Lets the nodes of a repository see writes to the same references in one order. Two writes that
 * lock references on different nodes in different orders would wait for each other until git's
 * time-outs refuse both.
 */
export class WriteOrder {
  readonly #isOn: boolean;
  readonly #locks: WriteLocks;
  #entered = 0n;
  readonly #own: SerializedWrites;
  readonly #shared: SerializedWrites | undefined;
  /** Repositories whose writes lock all references, each with the time at which that ends. */
  readonly #whole = new Map<string, number>();

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
  async enter({ method, repository, request }: OrderedCall, signal: AbortSignal): Promise<Entered> {
    if (!this.#isOn || !WAITS_BEFORE.has(method.name)) return UNORDERED;
    this.#entered = (this.#entered + 1n) % BEFORE_TRANSACTION;
    const id = BEFORE_TRANSACTION | this.#entered;
    const references = this.#isWhole(repository) ? undefined : lockedReferences(request);
    const lock = await this.#locks.lock(repository, id, signal, references).catch((cause: unknown) => {
      signal.throwIfAborted();
      if (!(cause instanceof LimitRefusal)) throw cause;
      throw new GitalyError('RESOURCE_EXHAUSTED', 'too many writes wait for the repository', { cause });
    });
    return new HeldOrder(lock, references);
  }

  /**
   * Returns how the votes of a write wait for those of other writes; `undefined` if they do not
   * wait.
   *
   * @param write.isShared true if the write also waits for writes of other Praefects.
   * @param write.primary storage of the primary.
   * @param write.entered result of {@link enter}.
   */
  ofVotes(
    method: MethodInfo,
    repository: RepositoryKey,
    { entered, isShared, primary }: OrderedVotes,
  ): Serialized | undefined {
    const common = { repository, primary };
    if (isShared && this.#shared !== undefined)
      return { ...common, start: 'preparing', writes: this.#shared };
    if (!this.#isOn) return undefined;
    const start = PUSHES.has(method.name) ? 'primary' : 'preparing';
    const ordered = { ...common, start, writes: this.#own } as const;
    if (!WAITS_BEFORE.has(method.name)) return ordered;
    const widen = async (signal: AbortSignal): Promise<void> => {
      this.#setWhole(repository);
      await entered.widen(signal);
    };
    return { ...ordered, entered: { widen } };
  }

  /** Reports whether our own nodes wait for their turn before they lock references. */
  isOnNodes(method: MethodInfo): boolean {
    return this.#isOn && WAITS_ON_NODES.has(method.name);
  }

  #isWhole(repository: RepositoryKey): boolean {
    const until = this.#whole.get(repositoryKey(repository));
    return until !== undefined && until > performance.now();
  }

  #setWhole(repository: RepositoryKey): void {
    const key = repositoryKey(repository);
    this.#whole.delete(key);
    this.#whole.set(key, performance.now() + WHOLE_MS);
    if (this.#whole.size <= MAX_WHOLE) return;
    const [oldest] = this.#whole.keys();
    if (oldest !== undefined) this.#whole.delete(oldest);
  }
}

/** How the votes of a write are ordered. */
export interface OrderedVotes {
  readonly isShared: boolean;
  readonly primary: string;
  readonly entered: EnteredWrite;
}

/** The order of a write that has locked references before it is sent. */
class HeldOrder implements Entered {
  readonly #lock: WriteLock;
  readonly #ending = new AbortController();
  #isNarrow: boolean;
  #widened: Promise<void> | undefined;

  constructor(lock: WriteLock, references: LockedReferences) {
    this.#lock = lock;
    this.#isNarrow = references !== undefined;
  }

  get isNarrow(): boolean {
    return this.#isNarrow;
  }

  async widen(signal: AbortSignal): Promise<void> {
    if (this.#widened === undefined) {
      this.#widened = this.#isNarrow ? this.#lock.widen?.(this.#ending.signal) : undefined;
      this.#widened?.catch(() => {}); // reported to those that wait
    }
    this.#isNarrow = false;
    if (this.#widened !== undefined) await abortable(this.#widened, signal);
  }

  [Symbol.dispose](): void {
    this.#ending.abort();
    void this.#lock.release().catch(() => {}); // the lease ends
  }
}

function repositoryKey({ virtualStorage, relativePath }: RepositoryKey): string {
  return `${virtualStorage}\0${relativePath}`;
}
