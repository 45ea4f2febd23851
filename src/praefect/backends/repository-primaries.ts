import type { Database } from '../database/database.ts';
import { electPrimary } from '../elections/elect-primary.ts';
import { HealthManager } from '../elections/health-manager.ts';
import { RemoteHealth } from '../family/node-health.ts';
import { type FindLost, lostReplicas } from '../repair/lost-replicas.ts';
import { RepositoryRouter } from '../routing/repository-router.ts';
import { repositoryHandlers } from '../services/repository-handlers.ts';
import { PostgresStore } from '../store/postgres-store.ts';
import type { BackendOptions } from './backend.ts';
import { praefectName } from './praefect-name.ts';
import type { DatabaseState, Primaries } from './primaries.ts';
import { readerChoice } from './reader-choice.ts';

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
