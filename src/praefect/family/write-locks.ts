import { randomUUID } from 'node:crypto';
import { abortedWait } from '#base/limits/keyed-limit';
import type { Desk } from '#workers/desk';
import type { Held, Link } from '#workers/link';
import type { RepositoryKey } from '../model/repository-key.ts';
import type { LockedReferences } from '../transactions/conflict-queue.ts';
import type { WriteLock, WriteLocks } from '../transactions/write-locks.ts';

const LOCK = 'praefect: lock of writes';
const WIDEN = 'praefect: widened lock of writes';

interface LockRequest {
  readonly repository: RepositoryKey;
  readonly references: LockedReferences;
  /** Name of the lock; each process uses different names. */
  readonly name: string;
}

/** Locks for the writes of all processes of this Praefect. The supervisor manages them. */
export class RemoteWriteLocks implements WriteLocks {
  readonly #link: Link;
  readonly #process = randomUUID();
  #count = 0;

  constructor(link: Link) {
    this.#link = link;
  }

  /** @throws {LimitRefusal} as `MemoryWriteLocks`. */
  async lock(
    repository: RepositoryKey,
    _transactionId: bigint,
    signal: AbortSignal,
    references?: LockedReferences,
  ): Promise<WriteLock> {
    const name = `${this.#process} ${++this.#count}`;
    const request: LockRequest = { repository, references, name };
    const { release } = await this.#ask(LOCK, request, signal);
    return {
      renew: async () => {},
      release: async () => release(),
      widen: async (aborting) => {
        try {
          (await this.#ask(WIDEN, name, aborting)).release();
        } catch (error) {
          release();
          throw error;
        }
      },
    };
  }

  async #ask(topic: string, value: unknown, signal: AbortSignal): Promise<Held> {
    try {
      return await this.#link.ask(topic, value, { signal });
    } catch (error) {
      throw signal.aborted ? abortedWait(signal) : error;
    }
  }
}

/** Gives locks to workers. A lock is returned at the latest when its process ends. */
export function answerForWriteLocks(desk: Desk, locks: WriteLocks): void {
  const held = new Map<string, WriteLock>();
  desk.onAsked(LOCK, async (value, { signal }) => {
    const { name, references, repository } = value as LockRequest; // from `RemoteWriteLocks`
    const lock = await locks.lock(repository, 0n, signal, references);
    held.set(name, lock);
    return {
      release: () => {
        held.delete(name);
        lock.release().catch(() => {}); // those in memory never fail
      },
    };
  });
  desk.onAsked(WIDEN, async (value, { signal }) => {
    await held.get(value as string)?.widen?.(signal); // from `RemoteWriteLocks`
    return {};
  });
}
