/** A change that a replica lacks. */
export interface ReplicationJob {
  readonly change: 'update' | 'delete';
  readonly virtualStorage: string;
  readonly relativePath: string;
  readonly source: string;
  readonly target: string;
  readonly correlationId: string;
}

/** A job from the queue, with the attempts that are left after this one. */
export interface DequeuedJob extends ReplicationJob {
  readonly id: number;
  readonly attemptsLeft: number;
}
