import { KeyedLimit } from '#base/keyed-limit';
import type { RepositoryKey } from '../model/repository-key.ts';
import type { WriteLock, WriteLocks } from './write-locks.ts';

/** Writes that may wait for one repository; further ones are refused. */
export const MAX_WAITING = 1000;

/** Locks among the writes of this process, which get them in the order of their arrival. */
export class MemoryWriteLocks implements WriteLocks {
  readonly #limit = new KeyedLimit({ maxConcurrency: 1, maxQueueSize: MAX_WAITING, maxWaitMs: 0 });

  /** @throws {LimitRefusal} when the signal is aborted, or when too many writes wait. */
  async lock(
    { virtualStorage, relativePath }: RepositoryKey,
    _transactionId: bigint,
    signal: AbortSignal,
  ): Promise<WriteLock> {
    const turn = await this.#limit.acquire(`${virtualStorage}\0${relativePath}`, signal);
    return { renew: async () => {}, release: async () => turn.release() };
  }
}
