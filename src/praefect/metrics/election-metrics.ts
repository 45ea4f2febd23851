import { gauge, histogram } from '#platform/metrics/metric';
import type { MetricsRegistry } from '#platform/metrics/metrics-registry';
import type { ElectionObserver } from '../elections/election-observer.ts';

/** Health and primaries of the nodes. */
export const ELECTIONS = {
  latency: histogram(
    'gitaly_praefect_node_latency',
    ['gitaly_storage'],
    'Seconds that health checks of a node took.',
  ),
  up: gauge(
    'gitaly_praefect_node_last_healthcheck_up',
    ['gitaly_storage'],
    'Result of the last health check of a node: 1 for healthy.',
  ),
  primaries: gauge(
    'gitaly_praefect_primaries',
    ['virtual_storage', 'gitaly_storage'],
    '1 for the primary of a virtual storage, 0 for its other nodes.',
  ),
};

/** @param latencyBuckets upper bounds in seconds. */
export function electionMetrics(
  registry: MetricsRegistry,
  latencyBuckets: readonly number[],
): ElectionObserver {
  const { latency, primaries, up } = registry.declare(ELECTIONS, latencyBuckets);
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
