import { counter, gauge, histogram } from '#platform/metrics/metric';
import { GO_BUCKETS, type MetricsRegistry } from '#platform/metrics/metrics-registry';
import type { LockObserver, LockOperation, LockResult } from '../transactions/write-locks.ts';

const RESULTS: readonly LockResult[] = ['new_acquisition', 'contended', 'error'];
const OPERATIONS: readonly LockOperation[] = ['trylock', 'unlock', 'renew'];

/** The locks of writes. */
export const LOCKS = {
  acquired: counter(
    'gitaly_praefect_repo_reference_write_lock_acquired_total',
    ['virtual_storage', 'result'],
    'Total number of repository reference write locks acquired for the first time, ' +
      'partitioned by virtual storage.',
  ),
  holding: gauge(
    'gitaly_praefect_repo_reference_write_locks_held',
    ['virtual_storage'],
    'Current number of repository reference write locks held, per virtual storage.',
  ),
  holdSeconds: histogram(
    'gitaly_praefect_repo_reference_write_lock_hold_duration_seconds',
    ['virtual_storage'],
    'Duration in seconds that repository reference write locks are held (from successful ' +
      'acquisition to unlock).',
    GO_BUCKETS,
  ),
  operationSeconds: histogram(
    'gitaly_praefect_repo_reference_write_lock_operation_duration_seconds',
    ['virtual_storage', 'operation'],
    'Duration in seconds of repository reference write lock database operations, by ' +
      'operation (trylock, unlock, renew).',
    GO_BUCKETS,
  ),
  reconnects: counter(
    'gitaly_praefect_lock_release_listener_reconnects_total',
    ['state'],
    'Counts amount of reconnects to listen for notification from write lock release channel',
  ),
};

/** @param virtualStorages virtual storages that have series before their first lock. */
export function lockMetrics(registry: MetricsRegistry, virtualStorages: readonly string[]): LockObserver {
  const { acquired, holding, holdSeconds, operationSeconds, reconnects } = registry.declare(LOCKS);
  for (const name of virtualStorages) {
    for (const result of RESULTS) acquired.with({ virtual_storage: name, result });
    holding.with({ virtual_storage: name });
    holdSeconds.with({ virtual_storage: name });
    for (const operation of OPERATIONS) operationSeconds.with({ virtual_storage: name, operation });
  }
  const secondsSince = (startedAtMs: number): number => (performance.now() - startedAtMs) / 1000;
  return {
    async timed(virtualStorage, operation, run) {
      const startedAtMs = performance.now();
      try {
        return await run();
      } finally {
        operationSeconds
          .with({ virtual_storage: virtualStorage, operation })
          .observe(secondsSince(startedAtMs));
      }
    },
    tried: (virtualStorage, result) => acquired.with({ virtual_storage: virtualStorage, result }).inc(),
    held(virtualStorage) {
      const startedAtMs = performance.now();
      const gauge = holding.with({ virtual_storage: virtualStorage });
      gauge.inc();
      return () => {
        gauge.dec();
        holdSeconds.with({ virtual_storage: virtualStorage }).observe(secondsSince(startedAtMs));
      };
    },
    listener: (state) => reconnects.with({ state }).inc(),
  };
}
