import { counter, histogram } from './metric.ts';
import type { MetricsRegistry } from './metrics-registry.ts';

const LATENCY_BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 300];

/** Operations on the server's buckets. `kind` is the scheme of the bucket's URL. */
export const OBJECT_STORES = {
  operations: counter(
    'gitaly_ts_object_store_operations_total',
    ['kind', 'operation', 'status'],
    'Operations on buckets, by kind of bucket and result.',
  ),
  latency: histogram(
    'gitaly_ts_object_store_latency_seconds',
    ['kind', 'operation'],
    'Duration of operations on buckets. Of reads and lists, the time spent waiting for the bucket.',
    LATENCY_BUCKETS,
  ),
  transferred: counter(
    'gitaly_ts_object_store_bytes_total',
    ['kind', 'direction'],
    'Bytes read from and written to buckets.',
  ),
  retries: counter(
    'gitaly_ts_object_store_retries_total',
    ['kind', 'operation'],
    'Requests to buckets that were sent again, and reads that were resumed.',
  ),
};

/** Declares the metrics of buckets. */
export function objectStoreMetrics(registry: MetricsRegistry) {
  const { latency, operations, retries, transferred } = registry.declare(OBJECT_STORES);
  return {
    ended: (kind: string, operation: string, status: string, seconds: number) => {
      operations.with({ kind, operation, status }).inc();
      latency.with({ kind, operation }).observe(seconds);
    },
    bytes: (kind: string, direction: 'read' | 'written', bytes: number) =>
      transferred.with({ kind, direction }).inc(bytes),
    retried: (kind: string, operation: string, times: number) => retries.with({ kind, operation }).inc(times),
  };
}
