import type { RepositoryKey } from '../model/repository-key.ts';
import type { LockedReferences } from './conflict-queue.ts';

/** Time after which others may take a lock that was not renewed. */
export const LEASE_MS = 20_000;

/** The lock of a repository or of some of its references, held by one transaction. */
export interface WriteLock {
  /** Extends the lease. @throws when the lock was lost. */
  renew(): Promise<void>;
  release(): Promise<void>;
  /**
   * Locks all references in addition to those that it has. It is missing if the lock always has
   * all.
   *
   * @throws when the signal is aborted: the lock is released then.
   */
  widen?(signal: AbortSignal): Promise<void>;
}

/** Locks for the time between a write's first vote and its end. */
export interface WriteLocks {
  /**
   * Waits until the lock is free. @throws when the signal is aborted.
   *
   * @param references what it locks; some locks always lock all references.
   */
  lock(
    repository: RepositoryKey,
    transactionId: bigint,
    signal: AbortSignal,
    references?: LockedReferences,
  ): Promise<WriteLock>;
}

export type LockOperation = 'trylock' | 'unlock' | 'renew';
export type LockResult = 'new_acquisition' | 'contended' | 'error';

/** Notified of what happens with locks of repositories. */
export interface LockObserver {
  /** Runs an operation of the database and measures it. */
  timed<T>(virtualStorage: string, operation: LockOperation, run: () => Promise<T>): Promise<T>;
  tried(virtualStorage: string, result: LockResult): void;
  /** Called when a lock is held. Returns the function to be called at its end. */
  held(virtualStorage: string): () => void;
  /** Called when the connection for notifications was made or lost. */
  listener(state: 'connected' | 'disconnected'): void;
}
