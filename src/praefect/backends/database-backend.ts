import { messageOf } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import { failedChecks } from '../checks/checks.ts';
import type { PraefectConfig } from '../config/schema.ts';
import { strategyOf } from '../config/strategy.ts';
import { directSettings, pooledSettings } from '../database/connection-settings.ts';
import { Database } from '../database/database.ts';
import { combinedHandler, DatabaseListener } from '../database/listener.ts';
import { shareHealth } from '../family/node-health.ts';
import { type ForgetReplicas, forgetReplicas } from '../family/replica-changes.ts';
import type { ClusterWebhooks } from '../feed/cluster-webhooks.ts';
import type { ServedFeed } from '../feed/start-feed.ts';
import { databaseMetrics } from '../metrics/database-metrics.ts';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { periodic } from '../repair/periodic.ts';
import { startRepair } from '../repair/start-repair.ts';
import { PostgresPauses } from '../replication/postgres-pauses.ts';
import { PostgresQueue } from '../replication/postgres-queue.ts';
import { infoService } from '../services/info-service.ts';
import { databaseStatus } from '../status/database-status.ts';
import { Assignments } from '../store/assignments.ts';
import { Availability } from '../store/availability.ts';
import { ReplicaCache } from '../store/replica-cache.ts';
import { ReplicaMarks } from '../store/replica-marks.ts';
import { RepositoryLookups } from '../store/repository-lookups.ts';
import { MetadataReader } from '../store/repository-metadata.ts';
import { RepositoryRemovals } from '../store/repository-removals.ts';
import { PostgresWriteLocks } from '../transactions/postgres-write-locks.ts';
import { LEASE_MS } from '../transactions/write-locks.ts';
import type { Backend, BackendOptions } from './backend.ts';
import { type DatabaseState, repositoryPrimaries, storagePrimaries } from './primaries.ts';

/** Time limit of a statement for a request, such as the record of a write. */
const STATEMENT_LIMIT_MS = 30_000;
const STALE_CHECK_MS = 30_000;
const STALE_AFTER_MS = 60_000;
const LOCK_CLEANUP_MS = 30 * 60_000;

/**
 * Keeps the state of the cluster in PostgreSQL (strategies `per_repository` and `sql`).
 * Returns when the database has this Praefect's first view of the nodes.
 *
 * @throws {Error} when the database cannot be reached, is too old or has no tables.
 */
export async function startDatabaseBackend(options: BackendOptions, signal: AbortSignal): Promise<Backend> {
  const { config, family, logger, nodes } = options;
  await using building = new AsyncDisposableStack();
  const state = await openState(options, building);
  const { database, marks, metadata, onChanged, queue, storages } = state;
  const { writeLocks, pauses } = await startLocks(options, database, building);
  const availability = new Availability(database, storages);
  const primaries =
    strategyOf(config).name === 'sql'
      ? await storagePrimaries(options, state, building)
      : await repositoryPrimaries(options, state, building);
  const { findLost, handlers, health, onNodeError, primaryOf, router, store, verifies } = primaries;
  const isHealthy = health.isHealthy.bind(health);
  if (family?.role !== 'worker') cleanQueue(queue, logger, building);
  if (family?.role === 'supervisor') shareHealth(family, { health, nodes, onNodeError });
  const served = await openFeed(options, { database, isHealthy }, building);
  const onRecorded = notedByFeed(served, onChanged);
  await primaries.updated(signal);
  if (family?.role !== 'worker') startRepair(options, { database, isHealthy, verifies }, building);
  const resources = building.move();
  return {
    router,
    store,
    queue,
    ...(findLost && { findLost }),
    services: [
      infoService({
        nodes,
        metadata,
        availability,
        marks,
        assignments: new Assignments(database, storages),
        primaryOf,
        onChanged: onRecorded,
      }),
      ...(served === undefined ? [] : [served.service]),
    ],
    ...served?.ofBackend,
    handlers,
    health,
    failedChecks: (timeoutMs) => failuresOf(config, timeoutMs),
    writeLocks,
    pauses,
    databaseMetrics: databaseMetrics({
      database,
      availability,
      storages,
      verificationIntervalMs: config.backgroundVerification.verificationIntervalMs,
      timeoutMs: config.prometheus.scrapeTimeoutMs,
      logger,
    }),
    status: () => databaseStatus(database, config),
    onRecorded,
    onNodeError,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/**
 * Returns the function that is called after a write is recorded. It makes the change feed look for
 * the change.
 */
function notedByFeed(served: ServedFeed | undefined, onChanged: ForgetReplicas): ForgetReplicas {
  return async (repository) => {
    await onChanged(repository);
    served?.feed.wake();
  };
}

/** Opens the database and what is read from it. `resources` closes both. */
async function openState(
  { config, family, logger, metrics, nodes }: BackendOptions,
  resources: AsyncDisposableStack,
): Promise<DatabaseState & { readonly storages: ReadonlyMap<string, readonly string[]> }> {
  const settings = await pooledSettings(config.database);
  const database = resources.use(
    await Database.open(settings, { statementMs: STATEMENT_LIMIT_MS }).catch((error: unknown) => {
      const advice = 'start PostgreSQL, or correct [database] of the configuration';
      throw new Error(`${messageOf(error)}: ${advice}`, { cause: error });
    }),
  );
  await database.checkVersion();
  await database.checkTables();
  const lookups = new RepositoryLookups(database);
  const cache = new ReplicaCache({
    lookups,
    virtualStorages: [...nodes.keys()],
    logger: logger.child({ component: 'caching_storage_provider' }),
    count: metrics.countCache,
  });
  resources.use(
    new DatabaseListener({
      settings: await directSettings(config.database),
      handler: cache,
      logger: logger.child({ component: 'resilient_listener' }),
      count: metrics.countListener,
    }),
  );
  const storages = new Map([...nodes].map(([name, all]) => [name, all.map(({ storage }) => storage)]));
  const metadata = new MetadataReader(database, storages);
  const onChanged = forgetReplicas(family, (repository) => cache.invalidate(repository));
  const removals = new RepositoryRemovals(database);
  const marks = new ReplicaMarks(database);
  const queue = new PostgresQueue(database, logger.child({ component: 'replication_manager' }));
  return { database, lookups, cache, marks, metadata, queue, removals, onChanged, storages };
}

/** Starts the locks and pauses of writes that all Praefects share. `resources` stops them. */
async function startLocks(
  { config, family, logger, metrics }: BackendOptions,
  database: Database,
  resources: AsyncDisposableStack,
): Promise<Pick<Backend, 'pauses'> & { readonly writeLocks: PostgresWriteLocks }> {
  const writeLocks = new PostgresWriteLocks({
    database,
    logger: logger.child({ component: 'write_locks' }),
    observer: metrics.locks,
  });
  const pauses = new PostgresPauses(database, logger.child({ component: 'write_pauses' }));
  resources.use(
    new DatabaseListener({
      settings: await directSettings(config.database),
      handler: combinedHandler([writeLocks, pauses]),
      logger: logger.child({ component: 'resilient_listener' }),
      count: metrics.locks.listener,
    }),
  );
  if (family?.role !== 'worker')
    resources.use(periodic(() => writeLocks.removeExpired(), { intervalMs: 2 * LEASE_MS }));
  return { writeLocks, pauses: pauses.pauses };
}

interface OpenedFeed extends ServedFeed {
  readonly ofBackend: Pick<Backend, 'endWatching' | 'webhooks'>;
}

/** Starts the change feed if it is enabled. Otherwise none of its code is loaded. */
async function openFeed(
  options: BackendOptions,
  parts: { readonly database: Database; readonly isHealthy: (node: GitalyNode) => boolean },
  resources: AsyncDisposableStack,
): Promise<OpenedFeed | undefined> {
  const { config, logger, nodes } = options;
  const { enabled, maxAgeMs, maxEvents } = config.events;
  if (!enabled) {
    const { stopFeed } = await import('../feed/feed-tables.ts');
    await stopFeed(parts.database);
    return undefined;
  }
  const { startFeed } = await import('../feed/start-feed.ts');
  const onProblem = (error: unknown): void =>
    logger.error({ error: messageOf(error) }, 'the change feed could not record a change');
  const served = await startFeed({ ...parts, nodes, maxAgeMs, maxEvents, onProblem });
  resources.use(served.feed);
  const webhooks = await openWebhooks(options, { ...served, database: parts.database }, resources);
  return {
    ...served,
    ofBackend: {
      endWatching: () => served.feed.ending.abort(),
      ...(webhooks !== undefined && { webhooks: () => webhooks.status() }),
    },
  };
}

/**
 * Starts the webhooks, which one process of a Praefect has. Without webhooks, none of their code is
 * loaded.
 */
async function openWebhooks(
  { config, family, logger }: BackendOptions,
  { database, feed }: Pick<ServedFeed, 'feed'> & { readonly database: Database },
  resources: AsyncDisposableStack,
): Promise<ClusterWebhooks | undefined> {
  if (config.webhook.length === 0 || family?.role === 'worker') return undefined;
  const { startWebhooks } = await import('../feed/start-webhooks.ts');
  const onProblem = (error: unknown): void =>
    logger.error({ error: messageOf(error) }, 'a webhook could not keep its progress');
  return resources.use(startWebhooks(config.webhook, { database, feed, onProblem }));
}

function failuresOf(config: PraefectConfig, timeoutMs: number): Promise<ReadonlyMap<string, string>> {
  return failedChecks({
    config,
    openDatabase: async () => await Database.open(await pooledSettings(config.database)),
    print: () => {},
    timeoutMs,
  });
}

/** Takes back jobs of Praefects that are gone, and removes locks without jobs. */
function cleanQueue(queue: PostgresQueue, logger: Logger, resources: AsyncDisposableStack): void {
  const cleaning = (work: () => Promise<unknown>, text: string) => () =>
    work().then(
      () => {},
      (error) => logger.error({ error: messageOf(error) }, text),
    );
  resources.use(
    periodic(
      cleaning(() => queue.acknowledgeStale(STALE_AFTER_MS), 'background periodical acknowledgement failed'),
      { intervalMs: STALE_CHECK_MS },
    ),
  );
  resources.use(
    periodic(
      cleaning(() => queue.removeUnusedLocks(), 'clean-up of replication locks failed'),
      { intervalMs: LOCK_CLEANUP_MS },
    ),
  );
}
