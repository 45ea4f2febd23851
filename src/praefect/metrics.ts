import { statusName } from '#base/go/status';
import { type TransferMetrics, transferMetrics } from '#platform/metrics/cache-metrics';
import { type GitalyMetrics, gitalyMetrics } from '#platform/metrics/gitaly-metrics';
import {
  grpcServerMetrics,
  type MethodLabels,
  type MethodMetrics,
} from '#platform/metrics/grpc-server-metrics';
import { MetricsRegistry } from '#platform/metrics/metrics-registry';
import { STATUS_CODES } from '#rpc/common/status-code';
import { methodLabels } from '#rpc/server/interceptors/call-metrics';
import { methodInfo } from '#wire/method-info';
import { gitalyServices } from '#wire/methods';
import type { ReplicaReason } from './coordinator/outcome.ts';
import type { VerifierMetrics } from './repair/verifier.ts';
import type { CacheAccess } from './store/replica-cache.ts';
import type { TransactionObserver } from './transactions/transactions.ts';

const SUBTRANSACTION_BUCKETS = [0, 1, 2, 4, 8, 16, 32];

/** All metrics of a Praefect, as functions for the modules that report them. */
export interface PraefectMetrics {
  readonly registry: MetricsRegistry;
  readonly callers: GitalyMetrics;
  readonly ofMethod: (method: MethodLabels) => MethodMetrics;
  readonly transactions: TransactionObserver;
  countMethodType(operation: 'accessor' | 'mutator' | 'maintenance'): void;
  countRead(virtualStorage: string, storage: string): void;
  countVoters(virtualStorage: string, voters: number): void;
  countReplicas(reason: ReplicaReason, nodes: number): void;
  countCache(virtualStorage: string, access: CacheAccess): void;
  countListener(state: 'connected' | 'disconnected'): void;
  readonly transfers: TransferMetrics;
  readonly verifier: VerifierMetrics;
  readonly reconciliationTook: (seconds: number) => void;
}

export interface PraefectMetricsOptions {
  /** Upper bounds in seconds; none for no histograms of calls. */
  readonly latencyBuckets: readonly number[];
  /** Upper bounds in seconds. */
  readonly reconciliationBuckets: readonly number[];
  /** Nodes of the largest virtual storage. */
  readonly maxNodes: number;
}

export function createPraefectMetrics({
  latencyBuckets,
  maxNodes,
  reconciliationBuckets,
}: PraefectMetricsOptions): PraefectMetrics {
  const registry = new MetricsRegistry();
  const types = registry.counter({
    name: 'gitaly_praefect_method_types',
    help: 'Proxied calls by the type of their method.',
    labels: ['method_type'],
  });
  const reads = registry.counter({
    name: 'gitaly_praefect_read_distribution',
    help: 'Reads by the storage that answered.',
    labels: ['virtual_storage', 'storage'],
  });
  const replicas = registry.counter({
    name: 'gitaly_praefect_tx_replications_total',
    help: 'Nodes of writes by what became of their replica.',
    labels: ['reason'],
  });
  const cache = registry.counter({
    name: 'gitaly_praefect_uptodate_storages_cache_access_total',
    help: 'Uses of the cache of replicas that are up to date.',
    labels: ['virtual_storage', 'type'],
  });
  const listener = registry.counter({
    name: 'gitaly_praefect_notifications_reconnects_total',
    help: 'Connections for notifications of the database that were made and lost.',
    labels: ['state'],
  });
  const voters = registry.histogram({
    name: 'gitaly_praefect_voters_per_transaction_total',
    help: 'Voters of each transaction.',
    labels: ['virtual_storage'],
    buckets: Array.from({ length: maxNodes }, (_, index) => index + 1),
  });
  return {
    registry,
    callers: gitalyMetrics(registry),
    ofMethod: grpcServerMetrics(registry, {
      latencyBuckets,
      codes: STATUS_CODES.map(statusName),
      methods: gitalyServices.flatMap(({ methods }) =>
        methods.map((method) => methodLabels(methodInfo(method))),
      ),
    }),
    transactions: transactionMetrics(registry, latencyBuckets),
    transfers: transferMetrics(registry),
    verifier: verifierMetrics(registry),
    reconciliationTook: reconciliationMetrics(registry, reconciliationBuckets),
    countMethodType: (operation) => types.with({ method_type: operation }).inc(),
    countRead: (virtualStorage, storage) => reads.with({ virtual_storage: virtualStorage, storage }).inc(),
    countVoters: (virtualStorage, count) => voters.with({ virtual_storage: virtualStorage }).observe(count),
    countReplicas: (reason, nodes) => replicas.with({ reason }).inc(nodes),
    countCache: (virtualStorage, access) =>
      cache.with({ virtual_storage: virtualStorage, type: access }).inc(),
    countListener: (state) => listener.with({ state }).inc(),
  };
}

function transactionMetrics(
  registry: MetricsRegistry,
  latencyBuckets: readonly number[],
): TransactionObserver {
  const actions = registry.counter({
    name: 'gitaly_praefect_transactions_total',
    help: 'Actions of reference transactions.',
    labels: ['action'],
  });
  const delays = registry.histogram({
    name: 'gitaly_praefect_transactions_delay_seconds',
    help: 'Time from a vote to its decision.',
    labels: ['action'],
    buckets: latencyBuckets,
  });
  const subtransactions = registry.histogram({
    name: 'gitaly_praefect_subtransactions_per_transaction_total',
    help: 'Votes of each transaction.',
    buckets: SUBTRANSACTION_BUCKETS,
  });
  return {
    counted: (action, number = 1) => actions.with({ action }).inc(number),
    voted: (seconds) => delays.with({ action: 'vote' }).observe(seconds),
    finished: (count) => subtransactions.with({}).observe(count),
  };
}

function verifierMetrics(registry: MetricsRegistry): VerifierMetrics {
  const labels = ['virtual_storage', 'storage'] as const;
  const dequeued = registry.counter({
    name: 'gitaly_praefect_verification_jobs_dequeued_total',
    help: 'Replicas taken to be verified.',
    labels,
  });
  const completed = registry.counter({
    name: 'gitaly_praefect_verification_jobs_completed_total',
    help: 'Replicas that were verified, and with which result.',
    labels: [...labels, 'result'],
  });
  const released = registry.counter({
    name: 'gitaly_praefect_stale_verification_leases_released_total',
    help: 'Replicas that a Praefect had taken and did not verify.',
  });
  return {
    dequeued: (virtualStorage, storage) => dequeued.with({ virtual_storage: virtualStorage, storage }).inc(),
    completed: (virtualStorage, storage, result) =>
      completed.with({ virtual_storage: virtualStorage, storage, result }).inc(),
    released: (leases) => released.with({}).inc(leases),
  };
}

function reconciliationMetrics(
  registry: MetricsRegistry,
  buckets: readonly number[],
): (seconds: number) => void {
  const took = registry.histogram({
    name: 'gitaly_praefect_reconciliation_scheduling_seconds',
    help: 'Time of a search for replicas that need a copy or a removal.',
    buckets,
  });
  return (seconds) => took.with({}).observe(seconds);
}
