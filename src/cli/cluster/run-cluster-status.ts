import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, messageWithHint } from '#base/gitaly-error';
import { type Connection, dial } from '#client/index';
import { loadPraefectConfig } from '#praefect/config/load-praefect-config';
import {
  type ClusterStatus,
  MAX_UNAVAILABLE_PATHS,
  problemsOfCluster,
  type StorageStatus,
  type VirtualStorageStatus,
} from '#praefect/status/cluster-status';
import { isAddress } from '../open-target.ts';
import { PRAEFECT_CONFIG } from '../up/up-directory.ts';
import { clusterStatusText, statusJson } from './render-status.ts';

export interface ClusterStatusArguments {
  /** A directory of `up --cluster`, or an address. */
  readonly target: string | undefined;
  /** Praefect's configuration. */
  readonly config: string | undefined;
  readonly isJson: boolean;
  /** Token of an address. */
  readonly token: string | undefined;
}

const DEFAULT_DIRECTORY = 'data';
const CONNECT_LIMIT_MS = 10_000;

/**
 * Runs `gitaly-ts cluster status`.
 *
 * @returns the exit code: 0 when everything is healthy and up to date, 1 otherwise, 2 for wrong
 *   usage.
 */
export async function runClusterStatus(given: ClusterStatusArguments): Promise<number> {
  if (given.target !== undefined && given.config !== undefined) {
    process.stderr.write('gitaly-ts cluster status: use one of TARGET and --config\n');
    return 2;
  }
  try {
    const status = await readStatus(given);
    const isColored = process.stdout.isTTY && !process.env.NO_COLOR;
    process.stdout.write(
      given.isJson ? statusJson(status) : clusterStatusText(status, { isColored, now: new Date() }),
    );
    return problemsOfCluster(status).length === 0 ? 0 : 1;
  } catch (error) {
    process.stderr.write(`gitaly-ts cluster status: ${messageWithHint(error)}\n`);
    return 1;
  }
}

async function readStatus({ config, target, token }: ClusterStatusArguments): Promise<ClusterStatus> {
  if (config !== undefined) return await statusOfConfig(config);
  if (target !== undefined && isAddress(target)) return await statusOfAddress(target, token);
  return await statusOfConfig(configIn(target ?? DEFAULT_DIRECTORY));
}

function configIn(directory: string): string {
  const path = join(directory, PRAEFECT_CONFIG);
  if (existsSync(path)) return path;
  const isFile = statSync(directory, { throwIfNoEntry: false })?.isFile() === true;
  throw new Error(
    isFile
      ? `${directory} is a file: use --config ${directory}`
      : `${directory} is no directory of a cluster: name one of gitaly-ts up --cluster, an address such as ` +
          'tcp://HOST:PORT, or --config FILE',
  );
}

/** Reads the state from the database of a praefect's configuration. @throws {Error} with advice. */
export async function statusOfConfig(path: string): Promise<ClusterStatus> {
  const { config } = await loadPraefectConfig(path);
  const [{ Database }, { pooledSettings }, { databaseStatus }] = await Promise.all([
    import('#praefect/database/database'),
    import('#praefect/database/connection-settings'),
    import('#praefect/status/database-status'),
  ]);
  const settings = await pooledSettings(config.database);
  await using database = await Database.open(settings).catch((error: unknown) => {
    throw new Error(
      `the database of ${path} cannot be reached: ${messageOf(error)}. Start it; that of gitaly-ts up ` +
        '--cluster runs with it',
      { cause: error },
    );
  });
  return await databaseStatus(database, config);
}

async function statusOfAddress(address: string, token: string | undefined): Promise<ClusterStatus> {
  await using connection = await dial(address, {
    retry: false,
    failOnNonTemporaryDialError: true,
    signal: AbortSignal.timeout(CONNECT_LIMIT_MS),
    ...(token && { token }),
  }).catch((error: unknown) => {
    throw new Error(`no praefect at ${address}: ${messageWithHint(error)}`, { cause: error });
  });
  return await statusByCalls(connection);
}

/**
 * Reads the state of a cluster by calls of its Praefect. Calls return less than the database: there
 * are no counts of repositories, primaries and jobs.
 *
 * @throws {CallError} of the first call that fails.
 */
async function statusByCalls(connection: Connection): Promise<ClusterStatus> {
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
