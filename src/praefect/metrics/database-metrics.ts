import { messageOf } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import { gauge, type Metric } from '#platform/metrics/metric';
import { MetricsRegistry } from '#platform/metrics/metrics-registry';
import type { MetricsFormat } from '#platform/metrics/text-format';
import { type Database, sql } from '../database/database.ts';
import type { Availability } from '../store/availability.ts';

/** The state in the database, at its own endpoint. */
export const DATABASE = {
  verification: gauge(
    'gitaly_praefect_verification_queue_depth',
    ['virtual_storage', 'storage', 'status'],
    'Number of replicas pending verification.',
  ),
  unavailable: gauge(
    'gitaly_praefect_unavailable_repositories',
    ['virtual_storage'],
    'Number of repositories that have no healthy, up to date replicas.',
  ),
  replication: gauge(
    'gitaly_praefect_replication_queue_depth',
    ['virtual_storage', 'target_node', 'state'],
    'Number of jobs in the replication queue',
  ),
};

export interface DatabaseMetricsOptions {
  readonly database: Database;
  readonly availability: Pick<Availability, 'countUnavailable'>;
  /** Configured storages by virtual storage. */
  readonly storages: ReadonlyMap<string, readonly string[]>;
  /** Age of a verification after which it is repeated; 0 if there is none. */
  readonly verificationIntervalMs: number;
  /** Limit of each query. */
  readonly timeoutMs: number;
  readonly logger: Logger;
}

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

/** One gauge whose series come from a query. */
interface Collector {
  readonly metric: Metric<'gauge'>;
  readonly component: string;
  /** Logged when the query fails; the gauge is then left out. */
  readonly failure: string;
  collect(): Promise<readonly Sample[]>;
}

/**
 * Returns the metrics that need queries, which run at each call. They have a separate endpoint, so
 * that it can be read less often.
 */
export function databaseMetrics(options: DatabaseMetricsOptions): (format: MetricsFormat) => Promise<string> {
  const collectors = collectorsOf(options);
  return async (format) => {
    const registry = new MetricsRegistry();
    await Promise.all(
      collectors.map(async ({ collect, component, failure, metric }) => {
        try {
          const samples = await collect();
          const { family } = registry.declare({ family: metric });
          for (const [labels, value] of samples) family.with(labels).set(value);
        } catch (error) {
          options.logger.child({ component }).error({ error: messageOf(error) }, failure);
        }
      }),
    );
    return registry.render(format);
  };
}

function collectorsOf(options: DatabaseMetricsOptions): readonly Collector[] {
  const { availability, storages, timeoutMs, verificationIntervalMs } = options;
  const verification: Collector = {
    metric: DATABASE.verification,
    component: 'verification_queue_depth_collector',
    failure: 'failed to query verification queue depth metric',
    collect: () => verificationDepth(options),
  };
  return [
    {
      metric: DATABASE.unavailable,
      component: 'RepositoryStoreCollector',
      failure: 'failed collecting unavailable repository count metric',
      async collect() {
        const counts = await availability.countUnavailable(timeoutMs);
        return [...storages.keys()].map((name) => [{ virtual_storage: name }, counts.get(name) ?? 0]);
      },
    },
    {
      metric: DATABASE.replication,
      component: 'queue_depth_collector',
      failure: 'failed to query queue depth metrics',
      collect: () => queueDepth(options),
    },
    ...(verificationIntervalMs > 0 ? [verification] : []),
  ];
}

async function queueDepth({ database, timeoutMs }: DatabaseMetricsOptions): Promise<readonly Sample[]> {
  interface Row {
    readonly virtual_storage: string;
    readonly target_node: string;
    readonly state: string;
    readonly jobs: number;
  }
  const rows = await database.limitedRows(
    sql<Row>`SELECT job->>'virtual_storage' AS virtual_storage,
        job->>'target_node_storage' AS target_node, state::text, count(*) AS jobs
      FROM replication_queue GROUP BY 1, 2, 3`,
    timeoutMs,
  );
  return rows.map(({ jobs, state, target_node, virtual_storage }) => [
    { virtual_storage, target_node, state },
    jobs,
  ]);
}

async function verificationDepth({
  database,
  storages,
  timeoutMs,
  verificationIntervalMs,
}: DatabaseMetricsOptions): Promise<readonly Sample[]> {
  interface Row {
    readonly virtual_storage: string;
    readonly storage: string;
    readonly unverified: number;
    readonly expired: number;
  }
  // Two conditions on the column, so that its index is used.
  const rows = await database.limitedRows(
    sql<Row>`SELECT repositories.virtual_storage, storage,
        count(*) FILTER (WHERE verified_at IS NULL) AS unverified,
        count(*) FILTER (WHERE verified_at IS NOT NULL) AS expired
      FROM repositories JOIN storage_repositories USING (repository_id)
      WHERE verified_at IS NULL
        OR verified_at < now() - ${verificationIntervalMs} * interval '1 millisecond'
      GROUP BY 1, 2`,
    timeoutMs,
  );
  // Configured storages have a series even without a replica; other storages have one while they
  // have a replica.
  const depths = new Map<string, Row>();
  for (const [name, ofStorage] of storages)
    for (const storage of ofStorage)
      depths.set(`${name}\0${storage}`, { virtual_storage: name, storage, unverified: 0, expired: 0 });
  for (const row of rows) depths.set(`${row.virtual_storage}\0${row.storage}`, row);
  return [...depths.values()].flatMap(({ expired, storage, unverified, virtual_storage }): Sample[] => [
    [{ virtual_storage, storage, status: 'unverified' }, unverified],
    [{ virtual_storage, storage, status: 'expired' }, expired],
  ]);
}
