import { statusName } from '#base/go/status';
import { type TransferMetrics, transferMetrics } from '#platform/metrics/cache-metrics';
import { buildInfo, type GitalyMetrics, gitalyMetrics } from '#platform/metrics/gitaly-metrics';
import {
  grpcClientMetrics,
  grpcServerMetrics,
  type MethodLabels,
  type MethodMetrics,
} from '#platform/metrics/grpc-metrics';
import { MetricsRegistry } from '#platform/metrics/metrics-registry';
import { packageVersion } from '#platform/process/version';
import { STATUS_CODES } from '#rpc/common/status-code';
import { methodLabels } from '#rpc/server/interceptors/call-metrics';
import { methodInfo } from '#wire/method-info';
import { gitalyServices } from '#wire/methods';
import type { ElectionObserver } from '../elections/election-observer.ts';
import type { ReplicaReason } from '../model/outcome.ts';
import { servedKind } from '../proxy/served-kind.ts';
import type { RepairMetrics } from '../repair/start-repair.ts';
import type { ReplicationObserver } from '../replication/replicator.ts';
import type { CacheAccess } from '../store/replica-cache.ts';
import type { LockObserver } from '../transactions/write-locks.ts';
import { electionMetrics } from './election-metrics.ts';
import { lockMetrics } from './lock-metrics.ts';
import { repairMetrics } from './repair-metrics.ts';
import { replicationMetrics } from './replication-metrics.ts';
import { type TransactionMetrics, transactionMetrics } from './transaction-metrics.ts';

/** All metrics of a Praefect, as functions for the modules that report them. */
export interface PraefectMetrics {
  readonly registry: MetricsRegistry;
  readonly callers: GitalyMetrics;
  readonly ofMethod: (method: MethodLabels) => MethodMetrics;
  /** Returns the metrics of a method's calls that this Praefect makes or passes on to the nodes. */
  readonly ofNodeMethod: (method: MethodLabels) => MethodMetrics;
  readonly transactions: TransactionMetrics;
  readonly replication: ReplicationObserver;
  readonly elections: ElectionObserver;
  readonly repair: RepairMetrics;
  readonly locks: LockObserver;
  countMethodType(operation: 'accessor' | 'mutator' | 'maintenance'): void;
  countRead(virtualStorage: string, storage: string): void;
  /** Counts a replica that its node does not have any more. */
  countLost(virtualStorage: string, storage: string): void;
  countReplicas(reason: ReplicaReason, nodes: number): void;
  countCache(virtualStorage: string, access: CacheAccess, number?: number): void;
  countListener(state: 'connected' | 'disconnected'): void;
  readonly transfers: TransferMetrics;
}

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
}: PraefectMetricsOptions): PraefectMetrics {
  const maxNodes = Math.max(...[...storages.values()].map((each) => each.length));
  const registry = new MetricsRegistry();
  buildInfo(registry, { version: packageVersion(), gitVersion: '' }); // it runs no git
  return {
    registry,
    callers: gitalyMetrics(registry, {
      name: 'Praefect',
      connections: 'gitaly_praefect_connections_total',
    }),
    ofMethod: grpcServerMetrics(registry, {
      latencyBuckets,
      codes: STATUS_CODES.map(statusName),
      methods: gitalyServices.flatMap(({ methods }) =>
        methods.map(methodInfo).map((method) => ({ ...methodLabels(method), type: servedKind(method) })),
      ),
    }),
    ofNodeMethod: grpcClientMetrics(registry, { latencyBuckets }),
    transactions: transactionMetrics(registry, { latencyBuckets, maxNodes }),
    replication: replicationMetrics(registry, latencyBuckets),
    elections: electionMetrics(registry, latencyBuckets),
    repair: repairMetrics(registry, reconciliationBuckets, storages),
    locks: lockMetrics(registry, [...storages.keys()]),
    transfers: transferMetrics(registry),
    ...counters(registry),
  };
}

type Counters =
  | 'countMethodType'
  | 'countRead'
  | 'countLost'
  | 'countReplicas'
  | 'countCache'
  | 'countListener';

function counters(registry: MetricsRegistry): Pick<PraefectMetrics, Counters> {
  const types = registry.counter({
    name: 'gitaly_praefect_method_types',
    help: 'Proxied calls by the type of their method.',
    labels: ['method_type'],
  });
  const reads = registry.counter({
    name: 'gitaly_praefect_read_distribution',
    help: 'Counts read operations directed to the storages',
    labels: ['virtual_storage', 'storage'],
  });
  const lost = registry.counter({
    name: 'gitaly_praefect_lost_replicas_total',
    help: 'Replicas that their node did not have any more when a call reached it',
    labels: ['virtual_storage', 'storage'],
  });
  const replicas = registry.counter({
    name: 'gitaly_praefect_tx_replications_total',
    help: 'The number of replication jobs scheduled for transactional RPCs',
    labels: ['reason'],
  });
  const cache = registry.counter({
    name: 'gitaly_praefect_uptodate_storages_cache_access_total',
    help:
      'Total number of cache access operations during defining of up to date storages for ' +
      'reads distribution (per virtual storage)',
    labels: ['virtual_storage', 'type'],
  });
  const listener = registry.counter({
    name: 'gitaly_praefect_notifications_reconnects_total',
    help:
      'Counts reconnects to the storage repository update channels used by the consistent ' +
      'storages read cache',
    labels: ['state'],
  });
  return {
    countMethodType: (operation) => types.with({ method_type: operation }).inc(),
    countRead: (virtualStorage, storage) => reads.with({ virtual_storage: virtualStorage, storage }).inc(),
    countLost: (virtualStorage, storage) => lost.with({ virtual_storage: virtualStorage, storage }).inc(),
    countReplicas: (reason, nodes) => replicas.with({ reason }).inc(nodes),
    countCache: (virtualStorage, access, number) =>
      cache.with({ virtual_storage: virtualStorage, type: access }).inc(number),
    countListener: (state) => listener.with({ state }).inc(),
  };
}
