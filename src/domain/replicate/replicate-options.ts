import type { Vote } from '#storage/lifecycle/voter';
import type { RecordedRuns } from '../housekeeping/maintenance-runs.ts';
import type { TransactionHooks } from '../transactions/transaction-hooks.ts';

export interface ReplicateOptions {
  readonly vote: Vote | undefined;
  /** Returns the hooks for the vote on references of the target. */
  readonly hooks: TransactionHooks | undefined;
  readonly signal: AbortSignal;
  /** Also copies a HEAD that is detached; otherwise it is an error, as in Gitaly. */
  readonly withDetachedHead: boolean;
  /** Also makes the target a member of the same object pool as the source, or of none. */
  readonly withPool: boolean;
  readonly maintenance: RecordedRuns;
  /** Called when something that is not a repository was moved away from the target's path. */
  readonly onMovedAway: (path: string) => void;
  /** Called with the stale locks of the target that were removed. */
  readonly onLocksRemoved: (paths: readonly string[]) => void;
}
