import { KeyedLimit, LimitRefusal } from '#base/keyed-limit';
import type { RepositoryKey } from '../model/repository-key.ts';
import type { WriteLock, WriteLocks } from './write-locks.ts';

/** Writes that may wait for one repository; further ones are refused. */
export const MAX_WAITING = 1000;

/**
 * Longest time for which a write keeps others waiting: the update hooks of a push may take minutes.
 * After that the next one goes on, too. git's own locks keep the references whole.
 */
export const MAX_HOLD_MS = 10_000;

/**
 * Longest wait of a write, which then goes on without a lock. A queue that moves is shorter: many
 * that went on at once would refuse each other.
 */
export const MAX_WAIT_MS = 60_000;

/** Locks among the writes of a Praefect, which get them in the order of their arrival. */
export class MemoryWriteLocks implements WriteLocks {
  readonly #limit = new KeyedLimit({
    maxConcurrency: 1,
    maxQueueSize: MAX_WAITING,
    maxWaitMs: MAX_WAIT_MS,
  });

  /** @throws {LimitRefusal} when the signal is aborted, or when too many writes wait. */
  async lock(
    { virtualStorage, relativePath }: RepositoryKey,
    _transactionId: bigint,
    signal: AbortSignal,
  ): Promise<WriteLock> {
    const turn = await this.#limit
      .acquire(`${virtualStorage}\0${relativePath}`, signal)
      .catch(withoutTurnInTime);
    if (turn === undefined) return { renew: async () => {}, release: async () => {} };
    const timer = setTimeout(() => turn.release(), MAX_HOLD_MS).unref();
    return {
      renew: async () => {},
      release: async () => {
        clearTimeout(timer);
        turn.release();
      },
    };
  }
}

function withoutTurnInTime(error: unknown): undefined {
  if (!(error instanceof LimitRefusal) || error.reason !== 'max_time') throw error;
}
