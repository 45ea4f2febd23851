import type { ReplicationJob } from '../model/job.ts';
import type { RepositoryKey } from '../model/repository-key.ts';

/** A repository that was created on its nodes. */
export interface CreatedRepository {
  readonly repository: RepositoryKey;
  /** 0 where repositories have no ids. */
  readonly repositoryId: number;
  readonly replicaPath: string;
  readonly primary: string;
  /** Storages of the other nodes that have it. */
  readonly updated: readonly string[];
  /** Storages that must get it and do not have it yet. */
  readonly outdated: readonly string[];
  /** True if these storages, and no others, are assigned. */
  readonly isAssigned: boolean;
}

export interface RecordedWrite extends Omit<CreatedRepository, 'replicaPath' | 'isAssigned'> {
  /**
   * Groups of storages that are recorded instead: the first group of which a storage was up to
   * date.
   */
  readonly successors?: readonly (readonly string[])[];
}

/** Returns the groups of storages, one of which has a write; the preferred one comes first. */
export function groupsOf({
  primary,
  successors = [],
  updated,
}: Pick<RecordedWrite, 'primary' | 'successors' | 'updated'>): readonly (readonly string[])[] {
  return [...successors, [primary, ...updated]];
}

/** Generations of the two replicas of a job; -1 for an unknown one. */
export interface CopyPlan {
  readonly source: number;
  readonly target: number;
  readonly replicaPath: string;
}

/** Remembers which replicas of which repository are up to date. */
export interface ReplicaStore {
  /** @throws {GitalyError} ALREADY_EXISTS `repository already exists` */
  recordCreation(created: CreatedRepository): Promise<void>;
  /**
   * Records a write: those of its storages that were up to date have it, all others lack it.
   *
   * @returns these storages.
   * @throws {GitalyError} NOT_FOUND `repository not found`; INTERNAL `write to outdated nodes`.
   *   Errors without a code are those of a database: it has perhaps not recorded the write.
   */
  recordWrite(write: RecordedWrite): Promise<readonly string[]>;
  recordRemoval(repository: RepositoryKey): Promise<void>;
  /**
   * Returns the generations of a copy and its path on the disks; `undefined` for a repository that
   * was removed.
   */
  planCopy(job: ReplicationJob): Promise<CopyPlan | undefined>;
  /**
   * Records that the target of a job was brought to a generation. A higher one stays: the target
   * was made the authoritative replica meanwhile.
   */
  recordCopy(job: ReplicationJob, generation: number): Promise<void>;
  /** Forgets the target's replica. Returns false if there was none. */
  removeReplica(job: ReplicationJob): Promise<boolean>;
  /**
   * Reports whether a replica may be removed. Of a repository that is kept, forgets the target's
   * replica if nobody needs it: it is not assigned, and all assigned ones are at least as new.
   * Without a record it counts as older than all.
   */
  releaseReplica(job: ReplicationJob): Promise<boolean>;
  /**
   * Forgets the source's replica. The repository stays known also without the last one: Gitaly
   * 19.0 forgets it, so that its loss cannot be seen.
   */
  removeInvalidSource(job: ReplicationJob): Promise<void>;
}
