import type { MetricsRegistry } from '#platform/metrics/metrics-registry';
import type { TransactionObserver } from '../transactions/transactions.ts';

const SUBTRANSACTION_BUCKETS = [0, 1, 2, 4, 8, 16, 32];

export interface TransactionMetricsOptions {
  /** Upper bounds in seconds. */
  readonly latencyBuckets: readonly number[];
  /** Nodes of the largest virtual storage. */
  readonly maxNodes: number;
}

/** Metrics of the votes of the nodes. */
export interface TransactionMetrics extends TransactionObserver {
  countVoters(virtualStorage: string, voters: number): void;
}

export function transactionMetrics(
  registry: MetricsRegistry,
  { latencyBuckets, maxNodes }: TransactionMetricsOptions,
): TransactionMetrics {
  const actions = registry.counter({
    name: 'gitaly_praefect_transactions_total',
    help: 'Total number of transaction actions',
    labels: ['action'],
  });
  const delays = registry.histogram({
    name: 'gitaly_praefect_transactions_delay_seconds',
    help: 'Delay between casting a vote and reaching quorum',
    labels: ['action'],
    buckets: latencyBuckets,
  });
  const subtransactions = registry.histogram({
    name: 'gitaly_praefect_subtransactions_per_transaction_total',
    help: 'The number of subtransactions created for a single registered transaction',
    buckets: SUBTRANSACTION_BUCKETS,
  });
  const voters = registry.histogram({
    name: 'gitaly_praefect_voters_per_transaction_total',
    help: 'The number of voters a given transaction was created with',
    labels: ['virtual_storage'],
    buckets: Array.from({ length: maxNodes }, (_, index) => index + 1),
  });
  return {
    counted: (action, number = 1) => actions.with({ action }).inc(number),
    voted: (seconds) => delays.with({ action: 'vote' }).observe(seconds),
    finished: (count) => subtransactions.with({}).observe(count),
    countVoters: (virtualStorage, count) => voters.with({ virtual_storage: virtualStorage }).observe(count),
  };
}
