import type { RepositoryKey } from '../routing/routes.ts';

/** The lock of a repository, held by one transaction among all Praefects. */
export interface WriteLock {
  /** Holds it longer. @throws when it was lost. */
  renew(): Promise<void>;
  release(): Promise<void>;
}

/** Locks for the time between a write's first vote and its end. */
export interface WriteLocks {
  /** Waits until the lock is free. @throws when the signal is aborted. */
  lock(repository: RepositoryKey, transactionId: bigint, signal: AbortSignal): Promise<WriteLock>;
}
