/** A change that a replica lacks. `delete_replica` removes one that is not assigned. */
export interface ReplicationJob {
  readonly change: 'update' | 'delete' | 'delete_replica';
  /** 0 where repositories have no ids. */
  readonly repositoryId: number;
  readonly virtualStorage: string;
  readonly relativePath: string;
  readonly replicaPath: string;
  /** Storage that has the change; empty for a removal. */
  readonly source: string;
  readonly target: string;
  readonly correlationId: string;
}

/** A job from the queue, with the attempts that are left after this one. */
export interface DequeuedJob extends ReplicationJob {
  readonly id: number;
  readonly attemptsLeft: number;
  /** When it was added. */
  readonly createdAt: Date;
}

/** End of a job: `failed` is tried again, `dead` is given up. */
export type JobEnd = 'completed' | 'failed' | 'dead';

/** Copies and removals that have to be made. Jobs of a repository on one target run one by one. */
export interface ReplicationQueue {
  /**
   * Adds a job. Returns false if an equal job waits, which is enough for both. A waiting job with
   * another source is not enough: that source may lack the write for which this job is. Nor is one
   * that is removed when a job that runs completes: that may have made its copy before this write.
   */
  enqueue(job: ReplicationJob): Promise<boolean>;
  /** Takes up to `count` jobs for a target, oldest first. */
  dequeue(virtualStorage: string, target: string, count: number): Promise<readonly DequeuedJob[]>;
  acknowledge(id: number, end: JobEnd): Promise<void>;
  /** Prevents jobs that were taken from being taken again, until it is disposed. */
  keep(jobs: readonly DequeuedJob[]): AsyncDisposable;
}

/**
 * Returns the end of a job that failed. It is never given up while its target does not serve, which
 * may take longer than all its attempts, nor if it removes a replica.
 */
export function endOfFailed({ attemptsLeft, change }: DequeuedJob, isTargetServing: boolean): JobEnd {
  return attemptsLeft <= 0 && isTargetServing && change !== 'delete_replica' ? 'dead' : 'failed';
}
