import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { PraefectConfig } from '../config/schema.ts';
import type { Database } from '../database/database.ts';
import { electPrimary } from '../elections/elect-primary.ts';
import { ErrorThresholds } from '../elections/error-thresholds.ts';
import { HealthManager } from '../elections/health-manager.ts';
import { SqlPrimary } from '../elections/sql-primary.ts';
import { healthOf, startElections } from '../elections/start-elections.ts';
import type { VirtualStorageNodes } from '../elections/virtual-storage-nodes.ts';
import { RemoteHealth } from '../family/node-health.ts';
import { RemoteElection } from '../family/remote-election.ts';
import type { ForgetReplicas } from '../family/replica-changes.ts';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { type FindLost, lostReplicas } from '../repair/lost-replicas.ts';
import type { PostgresQueue } from '../replication/postgres-queue.ts';
import { PathRouter } from '../routing/path-router.ts';
import { RepositoryRouter } from '../routing/repository-router.ts';
import type { Router } from '../routing/routes.ts';
import { renameHandler, repositoryHandlers } from '../services/repository-handlers.ts';
import { PathStore } from '../store/path-store.ts';
import { PostgresStore } from '../store/postgres-store.ts';
import type { ReplicaCache } from '../store/replica-cache.ts';
import type { ReplicaMarks } from '../store/replica-marks.ts';
import type { ReplicaStore } from '../store/replica-store.ts';
import type { RepositoryLookups } from '../store/repository-lookups.ts';
import type { MetadataReader } from '../store/repository-metadata.ts';
import type { RepositoryRecords } from '../store/repository-records.ts';
import type { RepositoryRemovals } from '../store/repository-removals.ts';
import type { Backend, BackendOptions } from './backend.ts';
import { readerChoice } from './reader-choice.ts';

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

/** Elects a primary for each repository (strategy `per_repository`). */
export async function repositoryPrimaries(
  options: BackendOptions,
  state: DatabaseState,
  resources: AsyncDisposableStack,
): Promise<Primaries> {
  const { config, logger, nodes } = options;
  const { cache, database, lookups, metadata, onChanged, removals } = state;
  const { health, ...noticing } = await healthOfNodes(options, database, resources);
  const router = new RepositoryRouter({
    nodes,
    replicationFactors: new Map(
      config.virtualStorage.map(({ name, defaultReplicationFactor }) => [name, defaultReplicationFactor]),
    ),
    isHealthy: (node) => health.isHealthy(node),
    chooseReader: readerChoice(options),
    cache,
    lookups,
    metadataOf: (repository) => metadata.byPath(repository),
    electPrimary: (repositoryId) => electPrimary(database, repositoryId, logger),
  });
  const store = new PostgresStore(database);
  const findLost = lossFinder(options, state, { health, store });
  return {
    router,
    store,
    handlers: repositoryHandlers({ nodes, router, lookups, removals, logger, onChanged, findLost }),
    ...(findLost && { findLost }),
    health,
    primaryOf: (_, repositoryId) => electPrimary(database, repositoryId, logger),
    verifies: true,
    ...noticing,
  };
}

/** Returns the object that finds lost replicas; `undefined` if records must not be changed. */
function lossFinder(
  { config, logger, metrics, nodes }: BackendOptions,
  { marks, metadata, onChanged, queue }: DatabaseState,
  { health, store }: Pick<Primaries, 'health' | 'store'>,
): FindLost | undefined {
  if (!config.backgroundVerification.deleteInvalidRecords) return undefined;
  return lostReplicas({
    ...{ logger, marks, nodes, onChanged, queue, store },
    isHealthy: (node) => health.isHealthy(node),
    metadataOf: (repository) => metadata.byPath(repository),
    counted: metrics.countLost,
  });
}

/** Returns the health of the nodes, which the first process of a Praefect checks. */
async function healthOfNodes(
  { config, family, logger, metrics, nodes }: BackendOptions,
  database: Database,
  resources: AsyncDisposableStack,
): Promise<Pick<Primaries, 'health' | 'onNodeError' | 'updated'>> {
  if (family?.role === 'worker') {
    const health = resources.use(await RemoteHealth.open(family.link, { nodes, countsErrors: false }));
    return { health, onNodeError: health.onNodeError, updated: async () => {} };
  }
  const health = resources.use(
    new HealthManager({
      database,
      nodes,
      praefectName: praefectName(config),
      logger: logger.child({ component: 'HealthManager' }),
      observer: metrics.elections,
    }),
  );
  return {
    health,
    onNodeError: (node, _, error) => health.callFailed(node, error),
    updated: (signal) => health.updated(signal),
  };
}

/** Elects a primary for each virtual storage, in the database (strategy `sql`). */
export async function storagePrimaries(
  options: BackendOptions,
  { cache, database, lookups, onChanged, removals }: DatabaseState,
  resources: AsyncDisposableStack,
): Promise<Primaries> {
  const { elections, ...noticing } = await electionsOf(options, database, resources);
  const records: RepositoryRecords = {
    forRead: (repository) => cache.get(repository),
    forWrite: (repository) => lookups.writeFacts(repository),
    replicaPath: (repository) => lookups.replicaPath(repository),
    reserveId: (repository) => lookups.reserveId(repository),
    trustsUnknown: false,
  };
  const router = new PathRouter(elections, records, readerChoice(options));
  return {
    router,
    store: new PathStore(database),
    handlers: new Map([renameHandler({ removals, onChanged })]),
    primaryOf: async (virtualStorage) => (await elections.get(virtualStorage)?.primary())?.storage,
    verifies: false,
    updated: async () => {},
    ...noticing,
  };
}

/** Returns the elections. The first process of a Praefect checks the nodes and elects. */
async function electionsOf(
  options: BackendOptions,
  database: Database,
  resources: AsyncDisposableStack,
): Promise<
  Pick<Primaries, 'health' | 'onNodeError'> & {
    readonly elections: ReadonlyMap<string, VirtualStorageNodes>;
  }
> {
  const { config, family, logger } = options;
  const thresholds = ErrorThresholds.of(config);
  const name = praefectName(config);
  const choiceOf = (virtualStorage: string, nodes: readonly GitalyNode[]): SqlPrimary =>
    new SqlPrimary({
      database,
      virtualStorage,
      praefectName: name,
      nodes,
      logger: logger.child({ virtual_storage: virtualStorage, praefectName: name }),
    });
  if (family?.role === 'worker') {
    const countsErrors = thresholds !== undefined;
    const health = resources.use(
      await RemoteHealth.open(family.link, { nodes: options.nodes, countsErrors }),
    );
    const elections = new Map(
      [...options.nodes].map(([virtualStorage, nodes]) => [
        virtualStorage,
        new RemoteElection({ nodes, choice: choiceOf(virtualStorage, nodes), health }),
      ]),
    );
    return { elections, health, onNodeError: health.onNodeError };
  }
  const elections = await startElections(options, { thresholds, choiceOf }, resources);
  return {
    elections,
    health: healthOf(elections),
    onNodeError: (node, operation, error) =>
      elections.get(node.config.virtualStorage)?.callFailed(node, operation, error),
  };
}

/** Returns the name of this Praefect among all that share a database. It survives restarts. */
export function praefectName({ listenAddr = '', socketPath = '' }: PraefectConfig): string {
  const host = hostname();
  return host === '' ? randomUUID() : `${host}:${listenAddr || socketPath}`;
}
