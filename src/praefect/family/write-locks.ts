import { abortedWait } from '#base/keyed-limit';
import type { Desk } from '#workers/desk';
import type { Link } from '#workers/link';
import type { RepositoryKey } from '../model/repository-key.ts';
import type { WriteLock, WriteLocks } from '../transactions/write-locks.ts';

const LOCK = 'praefect: lock of writes';

/** Locks among the writes of all processes of this Praefect, of which the supervisor keeps account. */
export class RemoteWriteLocks implements WriteLocks {
  readonly #link: Link;

  constructor(link: Link) {
    this.#link = link;
  }

  /** @throws {LimitRefusal} as `MemoryWriteLocks`. */
  async lock(repository: RepositoryKey, _transactionId: bigint, signal: AbortSignal): Promise<WriteLock> {
    try {
      const { release } = await this.#link.ask(LOCK, repository, { signal });
      return { renew: async () => {}, release: async () => release() };
    } catch (error) {
      throw signal.aborted ? abortedWait(signal) : error;
    }
  }
}

/** Gives locks to workers. A lock comes back at the latest with the end of its process. */
export function answerForWriteLocks(desk: Desk, locks: WriteLocks): void {
  desk.onAsked(LOCK, async (value, { signal }) => {
    const repository = value as RepositoryKey; // from `RemoteWriteLocks`
    const lock = await locks.lock(repository, 0n, signal);
    return { release: () => void lock.release().catch(() => {}) }; // those in memory never fail
  });
}
