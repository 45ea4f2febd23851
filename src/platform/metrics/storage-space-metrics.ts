import { statfs } from 'node:fs/promises';
import { gauge } from './metric.ts';
import type { MetricsRegistry } from './metrics-registry.ts';

interface MeasuredStorage {
  readonly name: string;
  readonly path: string;
}

export const STORAGE_SPACE = {
  available: gauge(
    'gitaly_ts_storage_available_bytes',
    ['storage'],
    "Bytes that the server may still write to a storage's file system",
  ),
  size: gauge('gitaly_ts_storage_size_bytes', ['storage'], "Size of a storage's file system in bytes"),
};

/**
 * Declares the free space and the size of each storage's file system.
 *
 * A collection returns the last measurement and starts the next one, so a file system that does not
 * respond delays neither the metrics nor a call. A storage that cannot be measured has no series.
 */
export function storageSpaceMetrics(registry: MetricsRegistry, storages: readonly MeasuredStorage[]): void {
  const { available, size } = registry.declare(STORAGE_SPACE);
  for (const { name, path } of storages) {
    const series = { storage: name };
    let isMeasuring = false;
    const measure = async (): Promise<void> => {
      if (isMeasuring) return;
      isMeasuring = true;
      try {
        const { bavail, blocks, bsize } = await statfs(path);
        available.with(series).set(bavail * bsize);
        size.with(series).set(blocks * bsize);
      } catch {
        // The directory is missing or cannot be read: the health check reports it.
        available.remove(series);
        size.remove(series);
      } finally {
        isMeasuring = false;
      }
    };
    void measure();
    registry.beforeCollect(() => void measure());
  }
}
