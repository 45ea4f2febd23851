import type { MetricsRegistry } from '#platform/metrics/metrics-registry';
import type { RepairMetrics } from '../repair/start-repair.ts';

/** Results of a verification. */
const RESULTS = ['valid', 'invalid', 'error'] as const;

/**
 * @param reconciliationBuckets upper bounds in seconds.
 * @param storages by virtual storage. Their series are there before the first verification.
 */
export function repairMetrics(
  registry: MetricsRegistry,
  reconciliationBuckets: readonly number[],
  storages: ReadonlyMap<string, readonly string[]>,
): RepairMetrics {
  const dequeued = registry.counter({
    name: 'gitaly_praefect_verification_jobs_dequeued_total',
    help: 'Number of verification jobs dequeud.',
    labels: ['virtual_storage', 'storage'],
  });
  const completed = registry.counter({
    name: 'gitaly_praefect_verification_jobs_completed_total',
    help: 'Number of verification jobs completed and their result',
    labels: ['virtual_storage', 'storage', 'result'],
  });
  for (const [name, ofStorage] of storages)
    for (const storage of ofStorage) {
      dequeued.with({ virtual_storage: name, storage });
      for (const result of RESULTS) completed.with({ virtual_storage: name, storage, result });
    }
  const released = registry
    .counter({
      name: 'gitaly_praefect_stale_verification_leases_released_total',
      help: 'Number of stale verification leases released.',
    })
    .with({});
  const took = registry
    .histogram({
      name: 'gitaly_praefect_reconciliation_scheduling_seconds',
      help: 'The time spent performing a single reconciliation scheduling run.',
      buckets: reconciliationBuckets,
    })
    .with({});
  return {
    verifier: {
      dequeued: (virtualStorage, storage) =>
        dequeued.with({ virtual_storage: virtualStorage, storage }).inc(),
      completed: (virtualStorage, storage, result) =>
        completed.with({ virtual_storage: virtualStorage, storage, result }).inc(),
      released: (leases) => released.inc(leases),
    },
    reconciliationTook: (seconds) => took.observe(seconds),
  };
}
