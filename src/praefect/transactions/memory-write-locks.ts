import { abortable } from '#base/async/abortable';
import { limitedSignal } from '#base/async/limited-signal';
import { abortedWait, fullQueue } from '#base/limits/limit-refusal';
import type { RepositoryKey } from '../model/repository-key.ts';
import { ConflictQueue, type LockedReferences, type QueuedWrite } from './conflict-queue.ts';
import type { WriteLock, WriteLocks } from './write-locks.ts';

/** Limit of writes that wait for one repository. Further ones are refused. */
export const MAX_WAITING = 1000;

/**
 * Longest time for which a write makes others wait: the update hooks of a push may take minutes.
 * Then the next write continues, too. git's own locks keep the references consistent.
 */
export const MAX_HOLD_MS = 10_000;

/**
 * Longest wait of a write, which then continues without a lock. Waits in a queue that moves are
 * shorter: if many writes continued at once, they would refuse each other.
 */
export const MAX_WAIT_MS = 60_000;

/** Reasons for which a write no longer waits. */
type WaitEnd = 'aborted' | 'held' | 'late';

/**
 * Locks among the writes of a Praefect. Writes that may lock the same references get them in the
 * order of their arrival, others at once.
 */
export class MemoryWriteLocks implements WriteLocks {
  readonly #queues = new Map<string, ConflictQueue>();

  /** @throws {LimitRefusal} when the signal is aborted, or when too many writes wait. */
  async lock(
    { virtualStorage, relativePath }: RepositoryKey,
    _transactionId: bigint,
    signal: AbortSignal,
    references?: LockedReferences,
  ): Promise<WriteLock> {
    const key = `${virtualStorage}\0${relativePath}`;
    const queue = this.#queues.get(key) ?? new ConflictQueue();
    this.#queues.set(key, queue);
    const leave = (): void => {
      if (queue.size === 0 && this.#queues.get(key) === queue) this.#queues.delete(key);
    };
    const turn = new Turn(queue, references, leave);
    if (queue.waiting > MAX_WAITING) {
      turn.leave();
      throw fullQueue();
    }
    await turn.begin(signal);
    return {
      renew: async () => {},
      release: async () => turn.leave(),
      widen: (aborting) => turn.widen(aborting),
    };
  }
}

/** The wait of a write, and the time for which it then makes others wait. */
class Turn {
  readonly #write: QueuedWrite;
  readonly #onLeft: () => void;
  #hold: NodeJS.Timeout | undefined;
  #onHeld: (() => void) | undefined;

  constructor(queue: ConflictQueue, references: LockedReferences, onLeft: () => void) {
    this.#write = queue.enter(references, () => this.#onHeld?.());
    this.#onLeft = onLeft;
  }

  /** Waits for its turn, at most for a minute. @throws {LimitRefusal} when the signal is aborted. */
  async begin(signal: AbortSignal): Promise<void> {
    const end = this.#write.isHeld ? 'held' : await this.#wait(signal);
    if (end === 'held') {
      this.#hold = setTimeout(() => this.leave(), MAX_HOLD_MS).unref();
      return;
    }
    this.leave();
    if (end === 'aborted') throw abortedWait(signal);
  }

  async widen(signal: AbortSignal): Promise<void> {
    clearTimeout(this.#hold);
    this.#write.widen();
    await this.begin(signal);
  }

  leave(): void {
    clearTimeout(this.#hold);
    this.#write.leave();
    this.#onLeft();
  }

  async #wait(signal: AbortSignal): Promise<WaitEnd> {
    const { promise, resolve } = Promise.withResolvers<WaitEnd>();
    this.#onHeld = () => resolve('held');
    using limited = limitedSignal(MAX_WAIT_MS, signal);
    return await abortable(promise, limited.signal).catch(() => (signal.aborted ? 'aborted' : 'late'));
  }
}
