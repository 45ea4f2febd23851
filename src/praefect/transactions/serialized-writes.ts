import { abortable } from '#base/async/abortable';
import { messageOf, prefixed } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import type { RepositoryKey } from '../model/repository-key.ts';
import { covers, type LockedReferences } from './conflict-queue.ts';
import type { WriteLock, WriteLocks } from './write-locks.ts';

/** A step of a reference transaction, by the votes that are cast in it. */
export type VotePhase = 'unknown' | 'preparing' | 'prepared' | 'committed' | 'synchronized';

/** A transaction whose writes wait for those of others to the same repository. */
export interface SerializedTransaction {
  readonly id: bigint;
  readonly repository: RepositoryKey;
  /** References that the node that votes will lock. */
  readonly references?: LockedReferences;
}

/**
 * The vote before which a transaction takes the lock. `preparing`: any with this phase.
 * `primary`: the first one of the primary, which follows the hooks of a push. The lock is held
 * until the first vote after those on references.
 */
export type OrderStart = 'preparing' | 'primary';

interface Holding {
  /** True if references were voted on. */
  hasReferences: boolean;
  references: LockedReferences;
  lock: Promise<WriteLock>;
  /** Ends the wait for it. */
  readonly waiting: AbortController;
}

/**
 * Makes writes to the same references run one after the other: the first `preparing` vote of a
 * transaction takes the lock, all its nodes share it, and the `committed` vote releases it. Without
 * a `preparing` vote, as with a git before 2.54, nothing is locked, unless the transaction starts
 * otherwise ({@link OrderStart}). If a node locks more than the first node of its transaction, all
 * references are locked before it continues.
 */
export class SerializedWrites {
  readonly #locks: WriteLocks;
  readonly #logger: Logger;
  readonly #holdings = new Map<bigint, Holding>();

  constructor(locks: WriteLocks, logger: Logger) {
    this.#locks = locks;
    this.#logger = logger;
  }

  /**
   * Casts a vote while the lock is held.
   *
   * @throws {Error} `lock transaction <id>: …`, and what `vote` throws.
   */
  async vote(
    transaction: SerializedTransaction,
    phase: VotePhase,
    signal: AbortSignal,
    vote: () => Promise<void>,
  ): Promise<void> {
    const { id } = transaction;
    let isEnd = phase === 'committed';
    try {
      if (phase === 'preparing') await this.enter(transaction, signal);
      else await this.#renew(id, phase);
      await vote();
    } catch (error) {
      isEnd ||= phase === 'preparing' || phase === 'prepared';
      throw error;
    } finally {
      if (isEnd) await this.release(id);
    }
  }

  /** Casts a vote of a push, whose hooks run before the first one of the primary. */
  async votePush(
    transaction: SerializedTransaction,
    { isFirstOfPrimary, phase }: { readonly isFirstOfPrimary: boolean; readonly phase: VotePhase },
    signal: AbortSignal,
    vote: () => Promise<void>,
  ): Promise<void> {
    const { id } = transaction;
    const holding = this.#holdings.get(id);
    if (isFirstOfPrimary) await this.enter(transaction, signal);
    else if (phase !== 'synchronized') await this.#renew(id, phase);
    else if (holding?.hasReferences) await this.release(id);
    if (holding !== undefined && phase !== 'synchronized') holding.hasReferences = true;
    await vote();
  }

  /** Waits for the lock, which all nodes of the transaction share. @throws as {@link vote}. */
  async enter(transaction: SerializedTransaction, signal: AbortSignal): Promise<void> {
    const lock = this.#acquire(transaction);
    await abortable(lock, signal).catch(prefixed(`lock transaction ${transaction.id}`));
  }

  /** Releases the lock of a transaction, or ends the wait for it. Never rejects. */
  async release(id: bigint): Promise<void> {
    const holding = this.#holdings.get(id);
    if (holding === undefined) return;
    this.#holdings.delete(id);
    holding.waiting.abort();
    const lock = await holding.lock.catch(() => undefined);
    await lock?.release().catch((error: unknown) => {
      this.#logger.error({ 'transaction.id': Number(id), error: messageOf(error) }, 'release repo lock');
    });
  }

  async #renew(id: bigint, phase: VotePhase): Promise<void> {
    if (phase !== 'prepared' && phase !== 'committed') return;
    const lock = this.#holdings.get(id)?.lock;
    await lock?.then((held) => held.renew()).catch(prefixed(`lock transaction ${id}`));
  }

  #acquire({ id, references, repository }: SerializedTransaction): Promise<WriteLock> {
    const holding = this.#holdings.get(id);
    if (holding !== undefined) {
      if (!covers(holding.references, references)) widen(holding);
      return holding.lock;
    }
    const waiting = new AbortController();
    const lock = this.#locks.lock(repository, id, waiting.signal, references);
    lock.catch(() => {}); // reported to the voters
    this.#holdings.set(id, { hasReferences: false, references, lock, waiting });
    return lock;
  }
}

/** Makes a transaction lock all references. */
function widen(holding: Holding): void {
  const { lock: narrow, waiting } = holding;
  holding.references = undefined;
  holding.lock = narrow.then(async (lock) => {
    await lock.widen?.(waiting.signal);
    return lock;
  });
  holding.lock.catch(() => {}); // reported to the voters
}
