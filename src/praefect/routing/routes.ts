import type { RepositoryKey } from '../model/repository-key.ts';
import type { GitalyNode } from '../nodes/gitaly-node.ts';

/** Where the repositories of a request are on the nodes' disks. */
export interface ReplicaPaths {
  readonly replicaPath: string;
  readonly additionalReplicaPath: string | undefined;
}

/** The node that answers a read. */
export interface AccessorRoute {
  readonly node: GitalyNode;
  readonly replicaPath: string;
}

/** The nodes that take part in a write. */
export interface MutatorRoute extends ReplicaPaths {
  /** 0 where repositories have no ids. */
  readonly repositoryId: number;
  /** Reports whether the nodes of a new repository are assigned to it. */
  readonly isAssigned: boolean;
  readonly primary: GitalyNode;
  readonly secondaries: readonly GitalyNode[];
  /** Storages that do not take part and get a copy afterwards. */
  readonly replicationTargets: readonly string[];
}

/** The nodes that each maintain their replica; the first one's response goes to the client. */
export interface MaintenanceRoute {
  readonly repositoryId: number;
  readonly nodes: readonly GitalyNode[];
  readonly replicaPath: string;
}

/** Chooses the nodes of a call. An unknown repository is a `repositoryNotFound`. */
export interface Router {
  /** Reports whether a virtual storage is configured. */
  knows(virtualStorage: string): boolean;
  /** @param onPrimary reads from the primary instead of any up-to-date replica. */
  accessor(repository: RepositoryKey, options: { onPrimary: boolean }): Promise<AccessorRoute>;
  /** Reports whether a call that creates a repository changes this one instead. */
  exists(repository: RepositoryKey): Promise<boolean>;
  /** Returns the path on the disks of a repository that a call names in addition to its own. */
  additionalPath(repository: RepositoryKey): Promise<string>;
  storageAccessor(virtualStorage: string): Promise<GitalyNode>;
  mutator(repository: RepositoryKey, additionalPath: string | undefined): Promise<MutatorRoute>;
  creation(repository: RepositoryKey, additionalPath: string | undefined): Promise<MutatorRoute>;
  storageMutator(virtualStorage: string): Promise<Pick<MutatorRoute, 'primary' | 'secondaries'>>;
  maintenance(repository: RepositoryKey): Promise<MaintenanceRoute>;
}
