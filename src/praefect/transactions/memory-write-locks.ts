import { KeyedLimit, LimitRefusal } from '#base/keyed-limit';
import type { RepositoryKey } from '../model/repository-key.ts';
import type { WriteLock, WriteLocks } from './write-locks.ts';

/** Writes that may wait for one repository; further ones are refused. */
export const MAX_WAITING = 1000;

/**
 * Longest wait of a write: the hooks of a push may hold its lock for minutes. After that it goes on
 * without a lock. git's own locks keep the references whole.
 */
const MAX_WAIT_MS = 10_000;

/** Locks among the writes of a Praefect, which get them in the order of their arrival. */
export class MemoryWriteLocks implements WriteLocks {
  readonly #limit: KeyedLimit;

  /** @param options.maxWaitMs default 10 s. */
  constructor({ maxWaitMs = MAX_WAIT_MS } = {}) {
    this.#limit = new KeyedLimit({ maxConcurrency: 1, maxQueueSize: MAX_WAITING, maxWaitMs });
  }

  /** @throws {LimitRefusal} when the signal is aborted, or when too many writes wait. */
  async lock(
    { virtualStorage, relativePath }: RepositoryKey,
    _transactionId: bigint,
    signal: AbortSignal,
  ): Promise<WriteLock> {
    const turn = await this.#limit
      .acquire(`${virtualStorage}\0${relativePath}`, signal)
      .catch(withoutTurnInTime);
    return { renew: async () => {}, release: async () => turn?.release() };
  }
}

function withoutTurnInTime(error: unknown): undefined {
  if (!(error instanceof LimitRefusal) || error.reason !== 'max_time') throw error;
}
