import type { Database } from '../database/database.ts';
import type { ForgetReplicas } from '../family/replica-changes.ts';
import type { PostgresQueue } from '../replication/postgres-queue.ts';
import type { Router } from '../routing/routes.ts';
import type { ReplicaCache } from '../store/replica-cache.ts';
import type { ReplicaMarks } from '../store/replica-marks.ts';
import type { ReplicaStore } from '../store/replica-store.ts';
import type { RepositoryLookups } from '../store/repository-lookups.ts';
import type { MetadataReader } from '../store/repository-metadata.ts';
import type { RepositoryRemovals } from '../store/repository-removals.ts';
import type { Backend } from './backend.ts';

/** The state of the cluster in PostgreSQL. */
export interface DatabaseState {
  readonly database: Database;
  readonly lookups: RepositoryLookups;
  readonly cache: ReplicaCache;
  readonly marks: ReplicaMarks;
  readonly metadata: MetadataReader;
  readonly queue: PostgresQueue;
  readonly removals: RepositoryRemovals;
  /** Called with each repository whose record has changed, before the client gets its response. */
  readonly onChanged: ForgetReplicas;
}

/** Parts of a backend that depend on how primaries are chosen. */
export interface Primaries extends Pick<Backend, 'findLost' | 'health' | 'handlers' | 'onNodeError'> {
  readonly router: Router;
  readonly store: ReplicaStore;
  /** Returns the primary of a repository after an election, if one was due; `undefined` for none. */
  primaryOf(virtualStorage: string, repositoryId: number): Promise<string | undefined>;
  /** Checks in the background that the recorded replicas exist. */
  readonly verifies: boolean;
  /** Resolves when the database has this Praefect's first view of the nodes. */
  updated(signal: AbortSignal): Promise<void>;
}
