import type { Connection } from '#client/index';
import {
  type ClusterStatus,
  MAX_UNAVAILABLE_PATHS,
  type StorageStatus,
  type VirtualStorageStatus,
} from '#praefect/status/cluster-status';

/**
 * Reads the state of a cluster by calls of its Praefect. Calls return less than the database: there
 * are no counts of repositories, primaries and jobs.
 *
 * @throws {CallError} of the first call that fails.
 */
export async function statusByCalls(connection: Connection): Promise<ClusterStatus> {
  const { storageStatuses } = await connection.server.serverInfo({});
  const names = storageStatuses.map(({ storageName }) => storageName).toSorted();
  const virtualStorages: VirtualStorageStatus[] = [];
  for (const name of names) virtualStorages.push(await virtualStorageStatus(connection, name));
  return { virtualStorages, praefects: undefined };
}

async function virtualStorageStatus(connection: Connection, name: string): Promise<VirtualStorageStatus> {
  const storages = await storagesOfFirst(connection, name);
  let unavailable = 0;
  const unavailablePaths: string[] = [];
  const losses = connection.praefectInfo.dataloss({ virtualStorage: name, includePartiallyReplicated: true });
  for await (const { repositories } of losses) {
    for (const repository of repositories) {
      if (repository.unavailable) {
        unavailable++;
        if (unavailablePaths.length < MAX_UNAVAILABLE_PATHS) unavailablePaths.push(repository.relativePath);
      }
      for (const { assigned, behindBy, healthy, name: storage } of repository.storages) {
        const outdated = (storages.get(storage)?.outdated ?? 0) + (assigned && behindBy > 0n ? 1 : 0);
        storages.set(storage, storageStatus(storage, healthy, outdated));
      }
    }
  }
  return {
    name,
    repositories: undefined,
    unavailable,
    unavailablePaths: unavailablePaths.toSorted(),
    storages: [...storages.values()].toSorted((a, b) => (a.storage < b.storage ? -1 : 1)),
  };
}

/** Returns the nodes of the first repository: the list of losses is empty when all is well. */
async function storagesOfFirst(connection: Connection, name: string): Promise<Map<string, StorageStatus>> {
  const end = new AbortController();
  const walk = connection.internal.walkRepos({ storageName: name }, { signal: end.signal });
  for await (const { relativePath } of walk) {
    const value = { virtualStorage: name, relativePath };
    const query = { case: 'path', value } as const;
    const { replicas } = await connection.praefectInfo.getRepositoryMetadata({ query });
    end.abort();
    return new Map(replicas.map(({ healthy, storage }) => [storage, storageStatus(storage, healthy, 0)]));
  }
  return new Map();
}

function storageStatus(storage: string, isHealthy: boolean, outdated: number): StorageStatus {
  const unknown = { lastSeen: undefined, primaries: undefined, assigned: undefined, jobs: undefined };
  return { storage, isHealthy, outdated, ...unknown, oldestJob: undefined };
}
