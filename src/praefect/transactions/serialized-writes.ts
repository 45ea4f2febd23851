import { abortable } from '#base/abortable';
import { messageOf } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import type { RepositoryKey } from '../model/repository-key.ts';
import type { WriteLock, WriteLocks } from './write-locks.ts';

/** A step of a reference transaction, by the votes that are cast in it. */
export type VotePhase = 'unknown' | 'preparing' | 'prepared' | 'committed' | 'synchronized';

/** A transaction whose writes wait for those of others to the same repository. */
export interface SerializedTransaction {
  readonly id: bigint;
  readonly repository: RepositoryKey;
}

interface Holding {
  readonly lock: Promise<WriteLock>;
  /** Ends the wait for it. */
  readonly abort: () => void;
}

/**
 * Makes writes to one repository run one after the other: the first `preparing` vote of a
 * transaction takes the lock, all its nodes share it, and the `committed` vote releases it. Without
 * a `preparing` vote, as with a git before 2.54, nothing is locked.
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
    { id, repository }: SerializedTransaction,
    phase: VotePhase,
    signal: AbortSignal,
    vote: () => Promise<void>,
  ): Promise<void> {
    let isEnd = phase === 'committed';
    try {
      await this.#hold(id, repository, phase, signal);
      await vote();
    } catch (error) {
      isEnd ||= phase === 'preparing' || phase === 'prepared';
      throw error;
    } finally {
      if (isEnd) await this.release(id);
    }
  }

  /** Releases the lock of a transaction, or ends the wait for it. Never rejects. */
  async release(id: bigint): Promise<void> {
    const holding = this.#holdings.get(id);
    if (holding === undefined) return;
    this.#holdings.delete(id);
    holding.abort();
    const lock = await holding.lock.catch(() => undefined);
    await lock?.release().catch((error: unknown) => {
      this.#logger.error({ 'transaction.id': Number(id), error: messageOf(error) }, 'release repo lock');
    });
  }

  async #hold(id: bigint, repository: RepositoryKey, phase: VotePhase, signal: AbortSignal): Promise<void> {
    try {
      if (phase === 'preparing') await abortable(this.#acquire(id, repository), signal);
      if (phase === 'prepared' || phase === 'committed') await (await this.#holdings.get(id)?.lock)?.renew();
    } catch (error) {
      throw new Error(`lock transaction ${id}: ${messageOf(error)}`, { cause: error });
    }
  }

  #acquire(id: bigint, repository: RepositoryKey): Promise<WriteLock> {
    const holding = this.#holdings.get(id);
    if (holding !== undefined) return holding.lock;
    const waiting = new AbortController();
    const lock = this.#locks.lock(repository, id, waiting.signal);
    lock.catch(() => {}); // reported to the voters
    this.#holdings.set(id, { lock, abort: () => waiting.abort() });
    return lock;
  }
}
