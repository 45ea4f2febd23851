import { randomUUID } from 'node:crypto';
import { abortedWait } from '#base/limits/limit-refusal';
import { list, maybe, nothing, object, text } from '#base/shape';
import type { Desk } from '#workers/desk';
import type { Link } from '#workers/link';
import { answer, asked, held, protocol, type Remote, remote } from '#workers/protocol';
import { type RepositoryKey, repositoryKey } from '../model/repository-key.ts';
import type { LockedReferences } from '../transactions/conflict-queue.ts';
import type { WriteLock, WriteLocks } from '../transactions/write-locks.ts';

/** The locks of all processes, which the supervisor manages. */
const LOCKS = protocol('locks', {
  /** A lock by its name, which is held; each process uses different names. */
  lock: held(object({ repository: repositoryKey, references: maybe(list(text)), name: text }), nothing),
  /** Locks all references, under the same name. */
  widen: asked(text, nothing),
});

/** Locks for the writes of all processes of this Praefect. The supervisor manages them. */
export class RemoteWriteLocks implements WriteLocks {
  readonly #locks: Remote<typeof LOCKS>;
  readonly #process = randomUUID();
  #count = 0;

  constructor(link: Link) {
    this.#locks = remote(link, LOCKS);
  }

  /** @throws {LimitRefusal} as `MemoryWriteLocks`. */
  async lock(
    repository: RepositoryKey,
    _transactionId: bigint,
    signal: AbortSignal,
    references?: LockedReferences,
  ): Promise<WriteLock> {
    const name = `${this.#process} ${++this.#count}`;
    const request = { repository, references, name };
    const { release } = await orAborted(this.#locks.lock(request, { signal }), signal);
    return {
      renew: async () => {},
      release: async () => release(),
      widen: async (aborting) => {
        try {
          await orAborted(this.#locks.widen(name, { signal: aborting }), aborting);
        } catch (error) {
          release();
          throw error;
        }
      },
    };
  }
}

/** @throws {LimitRefusal} if the wait was aborted. */
async function orAborted<T>(wait: Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await wait;
  } catch (error) {
    throw signal.aborted ? abortedWait(signal) : error;
  }
}

/** Gives locks to workers. A lock is returned at the latest when its process ends. */
export function answerForWriteLocks(desk: Desk, locks: WriteLocks): void {
  const locked = new Map<string, WriteLock>();
  answer(desk, LOCKS, {
    async lock({ name, references, repository }, { signal }) {
      const lock = await locks.lock(repository, 0n, signal, references);
      locked.set(name, lock);
      const release = (): void => {
        locked.delete(name);
        lock.release().catch(() => {}); // those in memory never fail
      };
      return { value: undefined, release };
    },
    widen: (name, { signal }) => locked.get(name)?.widen?.(signal),
  });
}
