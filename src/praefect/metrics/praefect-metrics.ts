import { STATUS_CODES } from '#base/gitaly-error';
import { statusName } from '#base/go/status';
import { TRANSFERS } from '#platform/metrics/cache-metrics';
import { buildInfo, gitalyMetrics, PRAEFECT_CONNECTIONS } from '#platform/metrics/gitaly-metrics';
import { grpcClientMetrics, grpcServerMetrics } from '#platform/metrics/grpc-metrics';
import { counter } from '#platform/metrics/metric';
import { MetricsRegistry } from '#platform/metrics/metrics-registry';
import { packageVersion } from '#platform/process/version';
import { methodLabels } from '#rpc/server/interceptors/call-metrics';
import { methodInfo } from '#wire/method-info';
import { gitalyServices } from '#wire/methods';
import type { ReplicaReason } from '../model/outcome.ts';
import { servedKind } from '../proxy/served-kind.ts';
import type { CacheAccess } from '../store/replica-cache.ts';
import { electionMetrics } from './election-metrics.ts';
import { lockMetrics } from './lock-metrics.ts';
import { repairMetrics } from './repair-metrics.ts';
import { replicationMetrics } from './replication-metrics.ts';
import { transactionMetrics } from './transaction-metrics.ts';

/** Reads, replicas and the caches of praefect. */
export const PRAEFECT = {
  types: counter(
    'gitaly_praefect_method_types',
    ['method_type'],
    'Proxied calls by the type of their method.',
  ),
  reads: counter(
    'gitaly_praefect_read_distribution',
    ['virtual_storage', 'storage'],
    'Counts read operations directed to the storages',
  ),
  lost: counter(
    'gitaly_praefect_lost_replicas_total',
    ['virtual_storage', 'storage'],
    'Replicas that their node did not have any more when a call reached it',
  ),
  replicas: counter(
    'gitaly_praefect_tx_replications_total',
    ['reason'],
    'The number of replication jobs scheduled for transactional RPCs',
  ),
  cache: counter(
    'gitaly_praefect_uptodate_storages_cache_access_total',
    ['virtual_storage', 'type'],
    'Total number of cache access operations during defining of up to date storages for ' +
      'reads distribution (per virtual storage)',
  ),
  listener: counter(
    'gitaly_praefect_notifications_reconnects_total',
    ['state'],
    'Counts reconnects to the storage repository update channels used by the consistent ' +
      'storages read cache',
  ),
};

/** All metrics of a Praefect, as functions for the modules that report them. */
export type PraefectMetrics = ReturnType<typeof createPraefectMetrics>;

export interface PraefectMetricsOptions {
  /** Upper bounds in seconds; none for no histograms of calls. */
  readonly latencyBuckets: readonly number[];
  /** Upper bounds in seconds. */
  readonly reconciliationBuckets: readonly number[];
  /** Storages by virtual storage. */
  readonly storages: ReadonlyMap<string, readonly string[]>;
}

export function createPraefectMetrics({
  latencyBuckets,
  reconciliationBuckets,
  storages,
}: PraefectMetricsOptions) {
  const maxNodes = Math.max(...[...storages.values()].map((each) => each.length));
  const registry = new MetricsRegistry();
  const praefect = registry.declare(PRAEFECT);
  buildInfo(registry, { version: packageVersion(), gitVersion: '' }); // it runs no git
  return {
    registry,
    callers: gitalyMetrics(registry, PRAEFECT_CONNECTIONS),
    ofMethod: grpcServerMetrics(registry, {
      latencyBuckets,
      codes: STATUS_CODES.map(statusName),
      methods: gitalyServices.flatMap(({ methods }) =>
        methods.map(methodInfo).map((method) => ({ ...methodLabels(method), type: servedKind(method) })),
      ),
    }),
    /** Of the calls that this Praefect makes or passes on to the nodes. */
    ofNodeMethod: grpcClientMetrics(registry, { latencyBuckets }),
    transactions: transactionMetrics(registry, { latencyBuckets, maxNodes }),
    replication: replicationMetrics(registry, latencyBuckets),
    elections: electionMetrics(registry, latencyBuckets),
    repair: repairMetrics(registry, reconciliationBuckets, storages),
    locks: lockMetrics(registry, [...storages.keys()]),
    transfers: registry.declare(TRANSFERS),
    countMethodType: (operation: 'accessor' | 'mutator' | 'maintenance') =>
      praefect.types.with({ method_type: operation }).inc(),
    countRead: (virtualStorage: string, storage: string) =>
      praefect.reads.with({ virtual_storage: virtualStorage, storage }).inc(),
    /** Counts a replica that its node does not have any more. */
    countLost: (virtualStorage: string, storage: string) =>
      praefect.lost.with({ virtual_storage: virtualStorage, storage }).inc(),
    countReplicas: (reason: ReplicaReason, nodes: number) => praefect.replicas.with({ reason }).inc(nodes),
    countCache: (virtualStorage: string, access: CacheAccess, number?: number) =>
      praefect.cache.with({ virtual_storage: virtualStorage, type: access }).inc(number),
    countListener: (state: 'connected' | 'disconnected') => praefect.listener.with({ state }).inc(),
  };
}
