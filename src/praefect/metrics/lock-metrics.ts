import type { MetricsRegistry } from '#platform/metrics/metrics-registry';
import type { LockObserver, LockOperation, LockResult } from '../transactions/write-locks.ts';

/** Buckets of Go's client library, in seconds. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

const RESULTS: readonly LockResult[] = ['new_acquisition', 'contended', 'error'];
const OPERATIONS: readonly LockOperation[] = ['trylock', 'unlock', 'renew'];

/** @param virtualStorages virtual storages that have series before their first lock. */
export function lockMetrics(registry: MetricsRegistry, virtualStorages: readonly string[]): LockObserver {
  const { acquired, holding, holdSeconds, operationSeconds } = lockFamilies(registry);
  const reconnects = registry.counter({
    name: 'gitaly_praefect_lock_release_listener_reconnects_total',
    help: 'Counts amount of reconnects to listen for notification from write lock release channel',
    labels: ['state'],
  });
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

function lockFamilies(registry: MetricsRegistry) {
  const named = (rest: string): string => `gitaly_praefect_repo_reference_write_lock${rest}`;
  const acquired = registry.counter({
    name: named('_acquired_total'),
    help:
      'Total number of repository reference write locks acquired for the first time, ' +
      'partitioned by virtual storage.',
    labels: ['virtual_storage', 'result'],
  });
  const holding = registry.gauge({
    name: named('s_held'),
    help: 'Current number of repository reference write locks held, per virtual storage.',
    labels: ['virtual_storage'],
  });
  const holdSeconds = registry.histogram({
    name: named('_hold_duration_seconds'),
    help:
      'Duration in seconds that repository reference write locks are held (from successful ' +
      'acquisition to unlock).',
    labels: ['virtual_storage'],
    buckets: BUCKETS,
  });
  const operationSeconds = registry.histogram({
    name: named('_operation_duration_seconds'),
    help:
      'Duration in seconds of repository reference write lock database operations, by ' +
      'operation (trylock, unlock, renew).',
    labels: ['virtual_storage', 'operation'],
    buckets: BUCKETS,
  });
  return { acquired, holding, holdSeconds, operationSeconds };
}
