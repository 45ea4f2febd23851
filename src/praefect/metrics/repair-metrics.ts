import { counter, histogram } from '#platform/metrics/metric';
import type { MetricsRegistry } from '#platform/metrics/metrics-registry';
import type { RepairMetrics } from '../repair/start-repair.ts';

/** Results of a verification. */
const RESULTS = ['valid', 'invalid', 'error'] as const;

/** Verification and repair of replicas. */
export const REPAIR = {
  dequeued: counter(
    'gitaly_praefect_verification_jobs_dequeued_total',
    ['virtual_storage', 'storage'],
    'Number of verification jobs dequeud.',
  ),
  completed: counter(
    'gitaly_praefect_verification_jobs_completed_total',
    ['virtual_storage', 'storage', 'result'],
    'Number of verification jobs completed and their result',
  ),
  released: counter(
    'gitaly_praefect_stale_verification_leases_released_total',
    [],
    'Number of stale verification leases released.',
  ),
  took: histogram(
    'gitaly_praefect_reconciliation_scheduling_seconds',
    [],
    'The time spent performing a single reconciliation scheduling run.',
  ),
};

/**
 * @param reconciliationBuckets upper bounds in seconds.
 * @param storages by virtual storage. Their series are there before the first verification.
 */
export function repairMetrics(
  registry: MetricsRegistry,
  reconciliationBuckets: readonly number[],
  storages: ReadonlyMap<string, readonly string[]>,
): RepairMetrics {
  const { completed, dequeued, released, took } = registry.declare(REPAIR, reconciliationBuckets);
  for (const [name, ofStorage] of storages)
    for (const storage of ofStorage) {
      dequeued.with({ virtual_storage: name, storage });
      for (const result of RESULTS) completed.with({ virtual_storage: name, storage, result });
    }
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
