import { ErrorThresholds } from '../elections/error-thresholds.ts';
import { SqlPrimary } from '../elections/sql-primary.ts';
import { healthOf, startElections } from '../elections/start-elections.ts';
import { PathRouter } from '../routing/path-router.ts';
import { renameHandler } from '../services/repository-handlers.ts';
import { PathStore } from '../store/path-store.ts';
import type { BackendOptions } from './backend.ts';
import { praefectName } from './praefect-name.ts';
import type { DatabaseState, Primaries } from './primaries.ts';

/** Elects a primary for each virtual storage, in the database (strategy `sql`). */
export async function storagePrimaries(
  options: BackendOptions,
  { cache, database, lookups, removals }: DatabaseState,
  resources: AsyncDisposableStack,
): Promise<Primaries> {
  const { config, logger } = options;
  const thresholds = ErrorThresholds.of(config);
  const name = praefectName(config);
  const elections = await startElections(
    options,
    {
      thresholds,
      choiceOf: (virtualStorage, nodes) =>
        new SqlPrimary({
          database,
          virtualStorage,
          praefectName: name,
          nodes,
          logger: logger.child({ virtual_storage: virtualStorage, praefectName: name }),
        }),
    },
    resources,
  );
  const router = new PathRouter(elections, {
    forRead: (repository) => cache.get(repository),
    forWrite: (repository) => lookups.writeFacts(repository),
    replicaPath: (repository) => lookups.replicaPath(repository),
    reserveId: (repository) => lookups.reserveId(repository),
    trustsUnknown: false,
  });
  return {
    router,
    store: new PathStore(database),
    handlers: new Map([renameHandler({ removals, onChanged: cache.invalidate.bind(cache) })]),
    health: healthOf(elections),
    primaryOf: async (virtualStorage) => (await elections.get(virtualStorage)?.primary())?.storage,
    verifies: false,
    updated: async () => {},
    onNodeError: (node, operation, error) =>
      elections.get(node.config.virtualStorage)?.callFailed(node, operation, error),
  };
}
