import type { Logger } from '#platform/log/logger';
import type { PraefectConfig } from '../config/schema.ts';
import type { Database } from '../database/database.ts';
import type { GitalyNode, NodesByStorage } from '../nodes/gitaly-node.ts';
import { searchOneStorage } from './cleaner.ts';
import { type Periodic, periodic } from './periodic.ts';
import { reconcile } from './reconciler.ts';
import { releaseLeases, type VerifierMetrics, verifyReplicas } from './verifier.ts';

const VERIFY_INTERVAL_MS = 2000;
const RELEASE_INTERVAL_MS = 10_000;
/** Time within which copies are queued for replicas that were found missing. */
const COPY_AFTER_MS = 10_000;

type Completed = Parameters<VerifierMetrics['completed']>;

/** Metrics of the searches for replicas in a wrong state. */
export interface RepairMetrics {
  readonly verifier: VerifierMetrics;
  reconciliationTook(seconds: number): void;
}

export interface RepairOptions {
  readonly config: PraefectConfig;
  readonly nodes: NodesByStorage;
  readonly metrics: { readonly repair: RepairMetrics };
  readonly logger: Logger;
}

/** Starts the searches for replicas and repositories in a wrong state. */
export function startRepair(
  { config, logger, metrics, nodes }: RepairOptions,
  {
    database,
    isHealthy,
    verifies,
  }: {
    database: Database;
    isHealthy: (node: GitalyNode) => boolean;
    /** True if records of replicas are checked, too. */
    verifies: boolean;
  },
  resources: AsyncDisposableStack,
): void {
  const common = { database, nodes, isHealthy };
  const { backgroundVerification, reconciliation, repositoriesCleanup } = config;
  let reconciler: Periodic | undefined;
  if (reconciliation.schedulingIntervalMs > 0) {
    const parts = {
      ...common,
      logger: logger.child({ component: 'reconciler' }),
      took: metrics.repair.reconciliationTook,
    };
    const intervalMs = reconciliation.schedulingIntervalMs;
    // Runs at once, as a node may be new.
    reconciler = resources.use(periodic(() => reconcile(parts), { intervalMs, startsAtOnce: true }));
  }
  if (verifies && backgroundVerification.verificationIntervalMs > 0) {
    const parts = {
      ...common,
      logger: logger.child({ component: 'metadata_verifier' }),
      metrics: {
        ...metrics.repair.verifier,
        completed: (...[virtualStorage, storage, result]: Completed) => {
          metrics.repair.verifier.completed(virtualStorage, storage, result);
          if (result === 'invalid') reconciler?.within(COPY_AFTER_MS);
        },
      },
      intervalMs: backgroundVerification.verificationIntervalMs,
      deletesRecords: backgroundVerification.deleteInvalidRecords,
    };
    const verify = async (signal: AbortSignal): Promise<void> => void (await verifyReplicas(parts, signal));
    resources.use(periodic(verify, { intervalMs: VERIFY_INTERVAL_MS }));
    resources.use(periodic(() => releaseLeases(parts), { intervalMs: RELEASE_INTERVAL_MS }));
  }
  if (repositoriesCleanup.runIntervalMs > 0) {
    const parts = {
      ...common,
      logger: logger.child({ component: 'repocleaner.log_warn_action' }),
      runIntervalMs: repositoriesCleanup.runIntervalMs,
      batchSize: Math.max(1, repositoriesCleanup.repositoriesInBatch),
    };
    const intervalMs = repositoriesCleanup.checkIntervalMs;
    resources.use(periodic((signal) => searchOneStorage(parts, signal), { intervalMs, startsAtOnce: true }));
  }
}
