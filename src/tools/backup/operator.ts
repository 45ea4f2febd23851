import type { BackupJob } from './job.ts';

export interface CreateBackupOptions {
  /** Name of the backup. */
  readonly id: string;
  /** Stores only changes since the latest backup, if there is one. */
  readonly incremental: boolean;
  /** The backup on which an increment is based; empty for the latest of each repository. */
  readonly latestId: string;
  readonly signal: AbortSignal;
}

export interface RestoreOptions {
  /** Name of the backup; empty for the latest of each repository. */
  readonly id: string;
  /** Uses the latest backup of a repository that has no backup of this name. */
  readonly useLatest: boolean;
  readonly signal: AbortSignal;
}

/** Makes and restores the backups of repositories. */
export interface BackupOperator {
  create(job: BackupJob, options: CreateBackupOptions): Promise<void>;
  restore(job: BackupJob, options: RestoreOptions): Promise<void>;
  /** Notes that repositories were backed up under a name, and the number of those that failed. */
  writeId(id: string, options: { readonly failed: number; readonly signal: AbortSignal }): Promise<void>;
  /** Returns the name that was recorded last; `undefined` if there is none. */
  latestId(signal: AbortSignal): Promise<string | undefined>;
}

/** There was nothing to back up, or to restore, in a repository. */
export class SkippedError extends Error {
  override readonly name = 'SkippedError';
}
