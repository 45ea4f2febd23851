import type { MetricsRegistry } from '#platform/metrics/metrics-registry';
import type { ReplicationObserver } from '../replication/replicator.ts';

/** Label `type` of the histograms; they start with 0. */
const TYPES = ['update', 'create', 'delete', 'delete_replica'];

/** @param latencyBuckets upper bounds in seconds. */
export function replicationMetrics(
  registry: MetricsRegistry,
  latencyBuckets: readonly number[],
): ReplicationObserver {
  const delay = registry.histogram({
    name: 'gitaly_praefect_replication_delay',
    help: 'Seconds that a replication job waited in the queue.',
    labels: ['type'],
    buckets: latencyBuckets,
  });
  const latency = registry.histogram({
    name: 'gitaly_praefect_replication_latency',
    help: 'Seconds that a completed replication job took.',
    labels: ['type'],
    buckets: latencyBuckets,
  });
  const running = registry.gauge({
    name: 'gitaly_praefect_replication_jobs',
    help: 'Number of replication jobs in flight.',
    labels: ['virtual_storage', 'gitaly_storage', 'change_type'],
  });
  for (const type of TYPES) for (const family of [delay, latency]) family.with({ type });
  return {
    started({ change, createdAt, target, virtualStorage }) {
      const startedAtMs = performance.now();
      delay.with({ type: change }).observe(Math.max(0, Date.now() - createdAt.getTime()) / 1000);
      const jobs = running.with({
        virtual_storage: virtualStorage,
        gitaly_storage: target,
        change_type: change,
      });
      jobs.inc();
      return (end) => {
        jobs.dec();
        if (end === 'completed')
          latency.with({ type: change }).observe((performance.now() - startedAtMs) / 1000);
      };
    },
  };
}
