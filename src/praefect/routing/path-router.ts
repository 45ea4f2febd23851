import { randomInt } from 'node:crypto';
import { GitalyError } from '#base/gitaly-error';
import type { LocalElection } from '../elections/local-election.ts';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import type { MemoryStore } from '../store/memory-store.ts';
import type { AccessorRoute, MaintenanceRoute, MutatorRoute, RepositoryKey, Router } from './routes.ts';

/**
 * Routes by one primary for a whole virtual storage (strategy `local`). A repository has the same
 * path on the nodes as for clients, and need not be known: one without an entry in the store is up
 * to date everywhere.
 */
export class PathRouter implements Router {
  readonly #elections: ReadonlyMap<string, LocalElection>;
  readonly #store: MemoryStore;

  /** @param elections by virtual storage. */
  constructor(elections: ReadonlyMap<string, LocalElection>, store: MemoryStore) {
    this.#elections = elections;
    this.#store = store;
  }

  knows(virtualStorage: string): boolean {
    return this.#elections.has(virtualStorage);
  }

  async accessor(
    { virtualStorage, relativePath }: RepositoryKey,
    { onPrimary }: { onPrimary: boolean },
  ): Promise<AccessorRoute> {
    const election = this.#election(virtualStorage);
    const consistent = this.#store.consistentStorages({ virtualStorage, relativePath });
    if (onPrimary || consistent === undefined)
      return { node: healthyPrimary(election), replicaPath: relativePath };
    const node = anyOf(election.healthy.filter(({ storage }) => consistent.has(storage)));
    if (node === undefined) throw new Error('no suitable node to serve the request');
    return { node, replicaPath: relativePath };
  }

  /** The nodes know: a call that creates a repository fails there if it exists. */
  async exists(): Promise<boolean> {
    return false;
  }

  async additionalPath({ relativePath }: RepositoryKey): Promise<string> {
    return relativePath;
  }

  async storageAccessor(virtualStorage: string): Promise<GitalyNode> {
    const node = anyOf(this.#election(virtualStorage).healthy);
    if (node === undefined) throw new Error('no healthy nodes');
    return node;
  }

  async mutator(
    { virtualStorage, relativePath }: RepositoryKey,
    additionalPath: string | undefined,
  ): Promise<MutatorRoute> {
    const election = this.#election(virtualStorage);
    const primary = healthyPrimary(election);
    const consistent = this.#store.consistentStorages({ virtualStorage, relativePath });
    const isConsistent = ({ storage }: GitalyNode): boolean => consistent?.has(storage) ?? true;
    if (!isConsistent(primary))
      throw new GitalyError('FAILED_PRECONDITION', 'repository is in read-only mode');
    const others = election.nodes.filter((node) => node !== primary);
    const secondaries = others.filter((node) => election.isHealthy(node) && isConsistent(node));
    return {
      primary,
      secondaries,
      replicationTargets: others.filter((node) => !secondaries.includes(node)).map(({ storage }) => storage),
      repositoryId: 0,
      isAssigned: false,
      replicaPath: relativePath,
      additionalReplicaPath: additionalPath,
    };
  }

  async creation(
    { virtualStorage, relativePath }: RepositoryKey,
    additionalPath: string | undefined,
  ): Promise<MutatorRoute> {
    const { primary, secondaries } = await this.storageMutator(virtualStorage);
    const taking = [primary, ...secondaries];
    return {
      primary,
      secondaries,
      replicationTargets: this.#election(virtualStorage)
        .nodes.filter((node) => !taking.includes(node))
        .map(({ storage }) => storage),
      repositoryId: 0,
      isAssigned: false,
      replicaPath: relativePath,
      additionalReplicaPath: additionalPath,
    };
  }

  async storageMutator(virtualStorage: string): Promise<Pick<MutatorRoute, 'primary' | 'secondaries'>> {
    const election = this.#election(virtualStorage);
    const primary = healthyPrimary(election);
    return { primary, secondaries: election.healthy.filter((node) => node !== primary) };
  }

  async maintenance({ virtualStorage, relativePath }: RepositoryKey): Promise<MaintenanceRoute> {
    const nodes = this.#election(virtualStorage).healthy;
    if (nodes.length === 0) throw new Error('no healthy nodes');
    return { repositoryId: 0, nodes, replicaPath: relativePath };
  }

  #election(virtualStorage: string): LocalElection {
    const election = this.#elections.get(virtualStorage);
    if (election === undefined) throw new GitalyError('INVALID_ARGUMENT', 'virtual storage does not exist');
    return election;
  }
}

function healthyPrimary(election: LocalElection): GitalyNode {
  if (!election.isHealthy(election.primary)) throw new Error('primary gitaly is not healthy');
  return election.primary;
}

function anyOf<T>(values: readonly T[]): T | undefined {
  return values.length === 0 ? undefined : values[randomInt(values.length)];
}
