import type { MetricsRegistry } from './metrics-registry.ts';

/** Counts the operations on the server's buckets. `kind` is the scheme of the bucket's URL. */
export interface ObjectStoreMetrics {
  ended(kind: string, operation: string, status: string, seconds: number): void;
  bytes(kind: string, direction: 'read' | 'written', bytes: number): void;
  retried(kind: string, operation: string, times: number): void;
}

const LATENCY_BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 300];

/** Declares the metrics of buckets. */
export function objectStoreMetrics(registry: MetricsRegistry): ObjectStoreMetrics {
  const operations = registry.counter({
    name: 'gitaly_ts_object_store_operations_total',
    help: 'Operations on buckets, by kind of bucket and result.',
    labels: ['kind', 'operation', 'status'],
  });
  const latency = registry.histogram({
    name: 'gitaly_ts_object_store_latency_seconds',
    help: 'Duration of operations on buckets. Of reads and lists, the time spent waiting for the bucket.',
    labels: ['kind', 'operation'],
    buckets: LATENCY_BUCKETS,
  });
  const transferred = registry.counter({
    name: 'gitaly_ts_object_store_bytes_total',
    help: 'Bytes read from and written to buckets.',
    labels: ['kind', 'direction'],
  });
  const retries = registry.counter({
    name: 'gitaly_ts_object_store_retries_total',
    help: 'Requests to buckets that were sent again, and reads that were resumed.',
    labels: ['kind', 'operation'],
  });
  return {
    ended: (kind, operation, status, seconds) => {
      operations.with({ kind, operation, status }).inc();
      latency.with({ kind, operation }).observe(seconds);
    },
    bytes: (kind, direction, bytes) => transferred.with({ kind, direction }).inc(bytes),
    retried: (kind, operation, times) => retries.with({ kind, operation }).inc(times),
  };
}
