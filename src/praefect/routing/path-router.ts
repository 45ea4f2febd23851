import { GitalyError, invalidArgument, wrapped } from '#base/gitaly-error';
import type { VirtualStorageNodes } from '../elections/virtual-storage-nodes.ts';
import type { RepositoryKey } from '../model/repository-key.ts';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { ALL_DOWN, UnhealthyNodesError } from '../nodes/unhealthy-nodes.ts';
import type { RepositoryRecords } from '../store/repository-records.ts';
import { anyReader, type ChooseReader } from './choose-reader.ts';
import type { AccessorRoute, MaintenanceRoute, MutatorRoute, Router } from './routes.ts';

/**
 * Routes by one primary for a whole virtual storage (strategies `local` and `sql`). A repository
 * has the same path on the nodes as for clients, and needs no record.
 */
export class PathRouter implements Router {
  readonly #elections: ReadonlyMap<string, VirtualStorageNodes>;
  readonly #records: RepositoryRecords;
  readonly #chooseReader: ChooseReader;

  /** @param elections by virtual storage. */
  constructor(
    elections: ReadonlyMap<string, VirtualStorageNodes>,
    records: RepositoryRecords,
    chooseReader: ChooseReader,
  ) {
    this.#elections = elections;
    this.#records = records;
    this.#chooseReader = chooseReader;
  }

  knows(virtualStorage: string): boolean {
    return this.#elections.has(virtualStorage);
  }

  async accessor(repository: RepositoryKey, { onPrimary }: { onPrimary: boolean }): Promise<AccessorRoute> {
    const election = this.#election(repository.virtualStorage);
    const found = await this.#records.forRead(repository).catch(wrapped('consistent storages'));
    const replicaPath = found?.replicaPath ?? repository.relativePath;
    if (onPrimary || found === undefined) return { node: await election.primary(), replicaPath };
    const node = this.#chooseReader(election.healthy.filter(({ storage }) => found.storages.has(storage)));
    if (node === undefined) throw new Error('no suitable node to serve the request');
    return { node, replicaPath };
  }

  async exists(repository: RepositoryKey): Promise<boolean> {
    return (await this.#records.replicaPath(repository)) !== undefined;
  }

  async additionalPath(repository: RepositoryKey): Promise<string> {
    return (await this.#records.replicaPath(repository)) ?? repository.relativePath;
  }

  async storageAccessor(virtualStorage: string): Promise<GitalyNode> {
    const node = anyReader(this.#election(virtualStorage).healthy);
    if (node === undefined) throw new UnhealthyNodesError(ALL_DOWN);
    return node;
  }

  async mutator(repository: RepositoryKey, additionalPath: string | undefined): Promise<MutatorRoute> {
    const election = this.#election(repository.virtualStorage);
    const primary = await election.primary();
    const found = await this.#records.forWrite(repository).catch(wrapped('consistent storages'));
    const isConsistent = (node: GitalyNode): boolean =>
      found?.storages.has(node.storage) ?? (this.#records.trustsUnknown || node === primary);
    if (!isConsistent(primary))
      throw new GitalyError('FAILED_PRECONDITION', 'repository is in read-only mode');
    return {
      ...nodesOf(election, primary, (node) => election.isHealthy(node) && isConsistent(node)),
      repositoryId: found?.repositoryId ?? (await this.#records.reserveId(repository)) ?? 0,
      isAssigned: false,
      replicaPath: found?.replicaPath ?? repository.relativePath,
      additionalReplicaPath: await this.#additional(repository, additionalPath),
    };
  }

  async creation(repository: RepositoryKey, additionalPath: string | undefined): Promise<MutatorRoute> {
    const election = this.#election(repository.virtualStorage);
    const primary = await election.primary();
    const repositoryId = await this.#records.reserveId(repository).catch(wrapped('reserve repository id'));
    if (repositoryId === undefined)
      throw new GitalyError('ALREADY_EXISTS', 'reserve repository id: repository already exists');
    return {
      ...nodesOf(election, primary, (node) => election.isHealthy(node)),
      repositoryId,
      isAssigned: false,
      replicaPath: repository.relativePath,
      additionalReplicaPath: await this.#additional(repository, additionalPath),
    };
  }

  async storageMutator(virtualStorage: string): Promise<Pick<MutatorRoute, 'primary' | 'secondaries'>> {
    const election = this.#election(virtualStorage);
    return nodesOf(election, await election.primary(), (node) => election.isHealthy(node));
  }

  async maintenance(repository: RepositoryKey): Promise<MaintenanceRoute> {
    const nodes = this.#election(repository.virtualStorage).healthy;
    if (nodes.length === 0) throw new UnhealthyNodesError(ALL_DOWN);
    return { repositoryId: 0, nodes, replicaPath: await this.additionalPath(repository) };
  }

  async #additional(
    { virtualStorage }: RepositoryKey,
    relativePath: string | undefined,
  ): Promise<string | undefined> {
    return relativePath && (await this.additionalPath({ virtualStorage, relativePath }));
  }

  #election(virtualStorage: string): VirtualStorageNodes {
    const election = this.#elections.get(virtualStorage);
    if (election === undefined) throw invalidArgument('virtual storage does not exist');
    return election;
  }
}

/** Divides the nodes other than the primary into participants and nodes that get a copy. */
function nodesOf(
  { nodes }: VirtualStorageNodes,
  primary: GitalyNode,
  takesPart: (node: GitalyNode) => boolean,
): Pick<MutatorRoute, 'primary' | 'secondaries' | 'replicationTargets'> {
  const others = nodes.filter((node) => node !== primary);
  const secondaries = others.filter(takesPart);
  const replicationTargets = others
    .filter((node) => !secondaries.includes(node))
    .map(({ storage }) => storage);
  return { primary, secondaries, replicationTargets };
}
