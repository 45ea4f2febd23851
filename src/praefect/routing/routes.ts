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
  readonly primary: GitalyNode;
  readonly secondaries: readonly GitalyNode[];
  /** Storages that do not take part and get a copy afterwards. */
  readonly replicationTargets: readonly string[];
}

/** The nodes that each maintain their replica; the first one's response goes to the client. */
export interface MaintenanceRoute {
  readonly nodes: readonly GitalyNode[];
  readonly replicaPath: string;
}

/** A repository as clients name it. */
export interface RepositoryKey {
  readonly virtualStorage: string;
  readonly relativePath: string;
}

/** Chooses the nodes of a call. */
export interface Router {
  /** Reports whether a virtual storage is configured. */
  knows(virtualStorage: string): boolean;
  /** @param onPrimary asks the primary instead of any replica that is up to date. */
  accessor(repository: RepositoryKey, options: { onPrimary: boolean }): Promise<AccessorRoute>;
  storageAccessor(virtualStorage: string): Promise<GitalyNode>;
  mutator(repository: RepositoryKey, additionalPath: string | undefined): Promise<MutatorRoute>;
  creation(repository: RepositoryKey, additionalPath: string | undefined): Promise<MutatorRoute>;
  storageMutator(virtualStorage: string): Promise<Pick<MutatorRoute, 'primary' | 'secondaries'>>;
  maintenance(repository: RepositoryKey): Promise<MaintenanceRoute>;
}
