import type { Database } from '../database/database.ts';
import { ErrorThresholds } from '../elections/error-thresholds.ts';
import { SqlPrimary } from '../elections/sql-primary.ts';
import { healthOf, startElections } from '../elections/start-elections.ts';
import type { VirtualStorageNodes } from '../elections/virtual-storage-nodes.ts';
import { RemoteHealth } from '../family/node-health.ts';
import { RemoteElection } from '../family/remote-election.ts';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { PathRouter } from '../routing/path-router.ts';
import { renameHandler } from '../services/repository-handlers.ts';
import { PathStore } from '../store/path-store.ts';
import type { RepositoryRecords } from '../store/repository-records.ts';
import type { BackendOptions } from './backend.ts';
import { praefectName } from './praefect-name.ts';
import type { DatabaseState, Primaries } from './primaries.ts';
import { readerChoice } from './reader-choice.ts';

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
