import type { RepositoryKey } from '../model/repository-key.ts';
import { LEASE_MS, type WriteLock, type WriteLocks } from './write-locks.ts';

/** Age of a lease from which it is renewed at the next vote. Most writes end before. */
const RENEW_AFTER_MS = LEASE_MS / 4;

/**
 * Locks among the writes of all Praefects. Those of this Praefect wait in memory, so that only one
 * of them waits in the database.
 */
export class AllWriteLocks implements WriteLocks {
  readonly #own: WriteLocks;
  readonly #shared: WriteLocks;

  constructor(own: WriteLocks, shared: WriteLocks) {
    this.#own = own;
    this.#shared = shared;
  }

  async lock(repository: RepositoryKey, transactionId: bigint, signal: AbortSignal): Promise<WriteLock> {
    const own = await this.#own.lock(repository, transactionId, signal);
    let shared: WriteLock;
    try {
      shared = await this.#shared.lock(repository, transactionId, signal);
    } catch (error) {
      await own.release();
      throw error;
    }
    let renewedAt = performance.now();
    return {
      async renew() {
        const now = performance.now();
        if (now - renewedAt < RENEW_AFTER_MS) return;
        renewedAt = now;
        await shared.renew();
      },
      async release() {
        // The next write of this Praefect may continue before the others notice.
        await shared.release().finally(() => own.release());
      },
    };
  }
}
