import type { MetricsRegistry } from '#platform/metrics/metrics-registry';
import type { ElectionObserver } from '../elections/election-observer.ts';

/** @param latencyBuckets upper bounds in seconds. */
export function electionMetrics(
  registry: MetricsRegistry,
  latencyBuckets: readonly number[],
): ElectionObserver {
  const latency = registry.histogram({
    name: 'gitaly_praefect_node_latency',
    help: 'Seconds that health checks of a node took.',
    labels: ['gitaly_storage'],
    buckets: latencyBuckets,
  });
  const up = registry.gauge({
    name: 'gitaly_praefect_node_last_healthcheck_up',
    help: 'Result of the last health check of a node: 1 for healthy.',
    labels: ['gitaly_storage'],
  });
  const primaries = registry.gauge({
    name: 'gitaly_praefect_primaries',
    help: '1 for the primary of a virtual storage, 0 for its other nodes.',
    labels: ['virtual_storage', 'gitaly_storage'],
  });
  return {
    checked(storage, { isHealthy, seconds }) {
      latency.with({ gitaly_storage: storage }).observe(seconds);
      up.with({ gitaly_storage: storage }).set(isHealthy ? 1 : 0);
    },
    elected(virtualStorage, storages, primary) {
      for (const storage of storages)
        primaries
          .with({ virtual_storage: virtualStorage, gitaly_storage: storage })
          .set(storage === primary ? 1 : 0);
    },
  };
}
