import { GitalyError, invalidArgument, wrapped } from '#base/gitaly-error';
import { shuffled } from '#base/shuffled';
import { type RepositoryKey, repositoryNotFound } from '../model/repository-key.ts';
import type { GitalyNode, ObservedNodes } from '../nodes/gitaly-node.ts';
import { ALL_DOWN, PRIMARY_DOWN, UnhealthyNodesError } from '../nodes/unhealthy-nodes.ts';
import type { ReplicaCache } from '../store/replica-cache.ts';
import type { RepositoryLookups, WriteFacts } from '../store/repository-lookups.ts';
import type { RepositoryMetadata } from '../store/repository-metadata.ts';
import type { ChooseReader } from './choose-reader.ts';
import { deriveReplicaPath } from './replica-path.ts';
import type { AccessorRoute, MaintenanceRoute, MutatorRoute, Router } from './routes.ts';

export interface RepositoryRouterOptions extends ObservedNodes {
  /** Nodes that receive a new repository, by virtual storage; 0 for all. */
  readonly replicationFactors: ReadonlyMap<string, number>;
  readonly chooseReader: ChooseReader;
  readonly cache: ReplicaCache;
  readonly lookups: RepositoryLookups;
  readonly metadataOf: (repository: RepositoryKey) => Promise<RepositoryMetadata | undefined>;
  /** Elects a primary if the current one is not valid. */
  readonly electPrimary: (repositoryId: number) => Promise<string | undefined>;
}

/**
 * Routes by the database (strategy `per_repository`): each repository has a primary, nodes that are
 * assigned to it and a path on their disks.
 */
export class RepositoryRouter implements Router {
  readonly #options: RepositoryRouterOptions;

  constructor(options: RepositoryRouterOptions) {
    this.#options = options;
  }

  knows(virtualStorage: string): boolean {
    return this.#options.nodes.has(virtualStorage);
  }

  async accessor(repository: RepositoryKey, { onPrimary }: { onPrimary: boolean }): Promise<AccessorRoute> {
    const healthy = this.#healthy(repository.virtualStorage);
    if (onPrimary) {
      const { primary, replicaPath } = await this.#withPrimary(repository, await this.#facts(repository));
      const node = healthy.find(({ storage }) => storage === primary);
      if (node === undefined) throw new UnhealthyNodesError(PRIMARY_DOWN);
      return { node, replicaPath };
    }
    const replicas = await this.#options.cache.get(repository).catch(wrapped('consistent storages'));
    if (replicas === undefined) throw repositoryNotFound(repository);
    const upToDate = healthy.filter(({ storage }) => replicas.storages.has(storage));
    const node = this.#options.chooseReader(upToDate);
    if (node === undefined) throw new Error('no suitable node to serve the request');
    return { node, replicaPath: replicas.replicaPath };
  }

  async storageAccessor(virtualStorage: string): Promise<GitalyNode> {
    return this.#randomHealthy(virtualStorage);
  }

  async mutator(repository: RepositoryKey, additionalPath: string | undefined): Promise<MutatorRoute> {
    const { virtualStorage } = repository;
    const healthy = this.#healthy(virtualStorage);
    const found = await this.#facts(repository);
    const additionalReplicaPath =
      additionalPath &&
      (await this.additionalPath({ virtualStorage, relativePath: additionalPath }).catch(
        wrapped('resolve additional replica path'),
      ));
    const facts = await this.#withPrimary(repository, found);
    const primaryNode = healthy.find(({ storage }) => storage === facts.primary);
    if (primaryNode === undefined) throw new UnhealthyNodesError(PRIMARY_DOWN);
    if (!facts.storages.has(primaryNode.storage))
      throw new GitalyError('FAILED_PRECONDITION', 'repository is in read-only mode');
    const assigned = this.#assigned(virtualStorage, facts);
    if (!assigned.includes(primaryNode)) throw new Error('primary node is not assigned');
    const others = assigned.filter((node) => node !== primaryNode);
    const takesPart = (node: GitalyNode): boolean =>
      healthy.includes(node) && facts.storages.has(node.storage);
    return {
      repositoryId: facts.repositoryId,
      isAssigned: false,
      primary: primaryNode,
      secondaries: others.filter(takesPart),
      replicationTargets: others.filter((node) => !takesPart(node)).map(({ storage }) => storage),
      replicaPath: facts.replicaPath,
      additionalReplicaPath: additionalReplicaPath || undefined,
    };
  }

  async creation(repository: RepositoryKey, additionalPath: string | undefined): Promise<MutatorRoute> {
    const { lookups, metadataOf, replicationFactors } = this.#options;
    const { relativePath, virtualStorage } = repository;
    let chosen: ChosenNodes;
    let additional: RepositoryMetadata | undefined;
    if (additionalPath) {
      const other = { virtualStorage, relativePath: additionalPath };
      additional = await metadataOf(other).catch(wrapped('resolve additional replica metadata'));
      if (additional === undefined) throw additionalNotFound(other);
      chosen = this.#nodesOf(virtualStorage, additional);
    } else {
      chosen = this.#randomNodes(virtualStorage, replicationFactors.get(virtualStorage) ?? 0);
    }
    const repositoryId = await lookups.reserveId(repository).catch(wrapped('reserve repository id'));
    if (repositoryId === undefined)
      throw new GitalyError('ALREADY_EXISTS', 'reserve repository id: repository already exists');
    return {
      ...chosen,
      repositoryId,
      isAssigned:
        (replicationFactors.get(virtualStorage) ?? 0) > 0 || additional?.hasExplicitAssignments === true,
      replicaPath: deriveReplicaPath(repositoryId, relativePath),
      additionalReplicaPath: additional?.replicaPath,
    };
  }

  async exists(repository: RepositoryKey): Promise<boolean> {
    return await this.#options.lookups.exists(repository);
  }

  async additionalPath(repository: RepositoryKey): Promise<string> {
    const path = await this.#options.lookups.replicaPath(repository);
    if (path === undefined) throw additionalNotFound(repository);
    return path;
  }

  async storageMutator(): Promise<never> {
    throw new Error('RouteStorageMutator is not implemented on PerRepositoryRouter');
  }

  async maintenance(repository: RepositoryKey): Promise<MaintenanceRoute> {
    const healthy = this.#healthy(repository.virtualStorage);
    const metadata = await this.#options.metadataOf(repository).catch(wrapped('getting repository metadata'));
    if (metadata === undefined) throw repositoryNotFound(repository);
    const storages = new Set(
      metadata.replicas
        .filter(({ generation, isAssigned }) => isAssigned && generation >= 0)
        .map(({ storage }) => storage),
    );
    const nodes = healthy.filter(({ storage }) => storages.has(storage));
    if (nodes.length === 0) throw new UnhealthyNodesError(ALL_DOWN);
    return { repositoryId: metadata.repositoryId, nodes, replicaPath: metadata.replicaPath };
  }

  #configured(virtualStorage: string): readonly GitalyNode[] {
    const nodes = this.#options.nodes.get(virtualStorage);
    if (nodes === undefined) throw invalidArgument('virtual storage does not exist');
    return nodes;
  }

  #healthy(virtualStorage: string): readonly GitalyNode[] {
    const healthy = this.#configured(virtualStorage).filter(this.#options.isHealthy);
    if (healthy.length === 0) throw new UnhealthyNodesError(ALL_DOWN);
    return healthy;
  }

  #randomHealthy(virtualStorage: string): GitalyNode {
    const [node] = shuffled(this.#configured(virtualStorage).filter(this.#options.isHealthy));
    if (node === undefined) throw new UnhealthyNodesError(ALL_DOWN);
    return node;
  }

  async #facts(repository: RepositoryKey): Promise<WriteFacts> {
    const facts = await this.#options.lookups.writeFacts(repository).catch(wrapped('get repository id'));
    if (facts === undefined) throw repositoryNotFound(repository);
    return facts;
  }

  /** Returns the facts with a primary, which may have been elected now. */
  async #withPrimary(repository: RepositoryKey, before: WriteFacts): Promise<WriteFacts> {
    if (before.isPrimaryValid) return before;
    const primary = await this.#options.electPrimary(before.repositoryId).catch(wrapped('get primary'));
    if (primary === undefined) throw new Error('get primary: no primary');
    return { ...(await this.#facts(repository)), primary };
  }

  /** The nodes that shall have a repository: all, unless some are assigned. */
  #assigned(virtualStorage: string, { assigned }: WriteFacts): readonly GitalyNode[] {
    const nodes = this.#configured(virtualStorage);
    const chosen = nodes.filter(({ storage }) => assigned.includes(storage));
    return chosen.length === 0 ? nodes : chosen;
  }

  /** The nodes of another repository, for one that is made from it. */
  #nodesOf(virtualStorage: string, { generation, primary, replicas }: RepositoryMetadata): ChosenNodes {
    const healthy = this.#healthy(virtualStorage);
    const primaryNode = healthy.find(({ storage }) => storage === primary);
    if (primaryNode === undefined) throw new UnhealthyNodesError(PRIMARY_DOWN);
    const others = replicas.filter(({ isAssigned, storage }) => isAssigned && storage !== primary);
    const secondaries = healthy.filter(({ storage }) =>
      others.some((replica) => replica.storage === storage && replica.generation === generation),
    );
    const taking = new Set(secondaries.map(({ storage }) => storage));
    const replicationTargets = others.map(({ storage }) => storage).filter((storage) => !taking.has(storage));
    return { primary: primaryNode, secondaries, replicationTargets };
  }

  #randomNodes(virtualStorage: string, replicationFactor: number): ChosenNodes {
    const primary = this.#randomHealthy(virtualStorage);
    const { isHealthy } = this.#options;
    const others = shuffled(this.#configured(virtualStorage).filter((node) => node !== primary));
    const chosen = replicationFactor > 0 ? others.slice(0, replicationFactor - 1) : others;
    return {
      primary,
      secondaries: chosen.filter((node) => isHealthy(node)),
      replicationTargets: chosen.filter((node) => !isHealthy(node)).map(({ storage }) => storage),
    };
  }
}

type ChosenNodes = Pick<MutatorRoute, 'primary' | 'secondaries' | 'replicationTargets'>;

function additionalNotFound({ relativePath, virtualStorage }: RepositoryKey): GitalyError {
  return new GitalyError('NOT_FOUND', 'additional repository not found', {
    metadata: { storage_name: virtualStorage, relative_path: relativePath },
  });
}
