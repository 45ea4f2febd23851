import { counter, histogram } from './metric.ts';
import { GO_BUCKETS, type MetricsRegistry } from './metrics-registry.ts';

const MAX_BUNDLE_BYTES = 10 * 1024 ** 3;
const BUNDLE_BUCKETS = Array.from({ length: 20 }, (_, index) => MAX_BUNDLE_BYTES ** (index / 19));
const HOUR = 3600;
const GENERATION_BUCKETS = [1, 30, 60, 300, 1800, HOUR, 2 * HOUR, 5 * HOUR, 12 * HOUR, 24 * HOUR];

export const BACKUPS = {
  latency: histogram(
    'gitaly_backup_latency_seconds',
    ['phase'],
    'Latency of a repository backup by phase',
    GO_BUCKETS,
  ),
  size: histogram(
    'gitaly_backup_bundle_bytes',
    [],
    'Size of a Git bundle uploaded in a backup',
    BUNDLE_BUCKETS,
  ),
  bytesMade: counter(
    'gitaly_bundle_generation_bytes_total',
    [],
    'Total number of bytes written to cloud storage',
  ),
  generation: histogram(
    'gitaly_bundle_generation_seconds',
    [],
    'Duration of making a bundle for clones.',
    GENERATION_BUCKETS,
  ),
};

/** Declares the metrics of backups and of bundles for clones. */
export function backupMetrics(registry: MetricsRegistry) {
  const { bytesMade, generation, latency, size } = registry.declare(BACKUPS);
  return {
    observePhase: (phase: 'refs' | 'bundle' | 'custom_hooks', seconds: number) =>
      latency.with({ phase }).observe(seconds),
    observeBundle: (bytes: number) => size.observe(bytes),
    /** Counts a bundle for clones. */
    observeBundleUri: (bytes: number, seconds: number) => {
      bytesMade.inc(bytes);
      generation.observe(seconds);
    },
  };
}
