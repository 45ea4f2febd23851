import type { RepositoryKey } from '../model/repository-key.ts';
import type { ConsistentReplicas } from './repository-lookups.ts';

/** A repository in the state of the cluster. */
export interface RepositoryRecord extends ConsistentReplicas {
  /** 0 where repositories have no ids. */
  readonly repositoryId: number;
}

/**
 * The part of the cluster's state that decides routes. `undefined` means that there is no record.
 */
export interface RepositoryRecords {
  /** Returns the replicas that may serve a read. */
  forRead(repository: RepositoryKey): Promise<ConsistentReplicas | undefined>;
  forWrite(repository: RepositoryKey): Promise<RepositoryRecord | undefined>;
  /** Returns the path on the nodes' disks. */
  replicaPath(repository: RepositoryKey): Promise<string | undefined>;
  /** Returns an id for a new repository; `undefined` if it has a record. */
  reserveId(repository: RepositoryKey): Promise<number | undefined>;
  /**
   * Reports whether all replicas of a repository without a record count as up to date, not only the
   * primary's.
   */
  readonly trustsUnknown: boolean;
}
