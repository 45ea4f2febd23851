import { electPrimary } from '../elections/elect-primary.ts';
import { HealthManager } from '../elections/health-manager.ts';
import { RepositoryRouter } from '../routing/repository-router.ts';
import { repositoryHandlers } from '../services/repository-handlers.ts';
import { PostgresStore } from '../store/postgres-store.ts';
import type { BackendOptions } from './backend.ts';
import { praefectName } from './praefect-name.ts';
import type { DatabaseState, Primaries } from './primaries.ts';

/** Elects a primary for each repository (strategy `per_repository`). */
export function repositoryPrimaries(
  { config, logger, nodes }: BackendOptions,
  { cache, database, lookups, metadata, removals }: DatabaseState,
  resources: AsyncDisposableStack,
): Primaries {
  const health = resources.use(
    new HealthManager({
      database,
      nodes,
      praefectName: praefectName(config),
      logger: logger.child({ component: 'HealthManager' }),
    }),
  );
  const router = new RepositoryRouter({
    nodes,
    replicationFactors: new Map(
      config.virtualStorage.map(({ name, defaultReplicationFactor }) => [name, defaultReplicationFactor]),
    ),
    isHealthy: (node) => health.isHealthy(node),
    cache,
    lookups,
    metadataOf: (repository) => metadata.byPath(repository),
    electPrimary: (repositoryId) => electPrimary(database, repositoryId, logger),
  });
  const onChanged = cache.invalidate.bind(cache);
  return {
    router,
    store: new PostgresStore(database),
    handlers: repositoryHandlers({ nodes, router, lookups, removals, logger, onChanged }),
    health,
    primaryOf: (_, repositoryId) => electPrimary(database, repositoryId, logger),
    verifies: true,
    updated: (signal) => health.updated(signal),
    onNodeError: (node, _, error) => health.callFailed(node, error),
  };
}
