import { counter, histogram } from '#platform/metrics/metric';
import type { MetricsRegistry } from '#platform/metrics/metrics-registry';
import type { TransactionObserver } from '../transactions/transactions.ts';

const SUBTRANSACTION_BUCKETS = [0, 1, 2, 4, 8, 16, 32];

/** The votes of the nodes. */
export const TRANSACTIONS = {
  actions: counter('gitaly_praefect_transactions_total', ['action'], 'Total number of transaction actions'),
  delays: histogram(
    'gitaly_praefect_transactions_delay_seconds',
    ['action'],
    'Delay between casting a vote and reaching quorum',
  ),
  subtransactions: histogram(
    'gitaly_praefect_subtransactions_per_transaction_total',
    [],
    'The number of subtransactions created for a single registered transaction',
    SUBTRANSACTION_BUCKETS,
  ),
};

export const VOTERS = {
  voters: histogram(
    'gitaly_praefect_voters_per_transaction_total',
    ['virtual_storage'],
    'The number of voters a given transaction was created with',
  ),
};

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
  const { actions, delays, subtransactions } = registry.declare(TRANSACTIONS, latencyBuckets);
  const nodes = Array.from({ length: maxNodes }, (_, index) => index + 1);
  const { voters } = registry.declare(VOTERS, nodes);
  return {
    counted: (action, number = 1) => actions.with({ action }).inc(number),
    voted: (seconds) => delays.with({ action: 'vote' }).observe(seconds),
    finished: (count) => subtransactions.observe(count),
    countVoters: (virtualStorage, count) => voters.with({ virtual_storage: virtualStorage }).observe(count),
  };
}
