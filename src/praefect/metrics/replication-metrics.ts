import { gauge, histogram } from '#platform/metrics/metric';
import type { MetricsRegistry } from '#platform/metrics/metrics-registry';
import type { ReplicationObserver } from '../replication/replicator.ts';

/** Label `type` of the histograms; they start with 0. */
const TYPES = ['update', 'create', 'delete', 'delete_replica'];

/** The queue of replication. */
export const REPLICATION = {
  delay: histogram(
    'gitaly_praefect_replication_delay',
    ['type'],
    'Seconds that a replication job waited in the queue.',
  ),
  latency: histogram(
    'gitaly_praefect_replication_latency',
    ['type'],
    'Seconds that a completed replication job took.',
  ),
  running: gauge(
    'gitaly_praefect_replication_jobs',
    ['virtual_storage', 'gitaly_storage', 'change_type'],
    'Number of replication jobs in flight.',
  ),
};

/** @param latencyBuckets upper bounds in seconds. */
export function replicationMetrics(
  registry: MetricsRegistry,
  latencyBuckets: readonly number[],
): ReplicationObserver {
  const { delay, latency, running } = registry.declare(REPLICATION, latencyBuckets);
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
