import type { MetricsRegistry } from './metrics-registry.ts';

/** Durations and sizes of backups and of bundles for clones. */
export interface BackupMetrics {
  observePhase(phase: 'refs' | 'bundle' | 'custom_hooks', seconds: number): void;
  observeBundle(bytes: number): void;
  /** A bundle for clones was made. */
  observeBundleUri(bytes: number, seconds: number): void;
}

/** Prometheus' default, as in Gitaly. */
const LATENCY_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const MAX_BUNDLE_BYTES = 10 * 1024 ** 3;
const BUNDLE_BUCKETS = Array.from({ length: 20 }, (_, index) => MAX_BUNDLE_BYTES ** (index / 19));
const HOUR = 3600;
const GENERATION_BUCKETS = [1, 30, 60, 300, 1800, HOUR, 2 * HOUR, 5 * HOUR, 12 * HOUR, 24 * HOUR];

/** Declares the metrics of backups and of bundles for clones. */
export function backupMetrics(registry: MetricsRegistry): BackupMetrics {
  const latency = registry.histogram({
    name: 'gitaly_backup_latency_seconds',
    help: 'Latency of a repository backup by phase',
    labels: ['phase'],
    buckets: LATENCY_BUCKETS,
  });
  const size = registry.histogram({
    name: 'gitaly_backup_bundle_bytes',
    help: 'Size of a Git bundle uploaded in a backup',
    buckets: BUNDLE_BUCKETS,
  });
  const bytesMade = registry.counter({
    name: 'gitaly_bundle_generation_bytes_total',
    help: 'Total number of bytes written to cloud storage',
  });
  const generation = registry.histogram({
    name: 'gitaly_bundle_generation_seconds',
    help: 'Duration of making a bundle for clones.',
    buckets: GENERATION_BUCKETS,
  });
  return {
    observePhase: (phase, seconds) => latency.with({ phase }).observe(seconds),
    observeBundle: (bytes) => size.with({}).observe(bytes),
    observeBundleUri: (bytes, seconds) => {
      bytesMade.with({}).inc(bytes);
      generation.with({}).observe(seconds);
    },
  };
}
