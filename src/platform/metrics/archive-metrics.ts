import { counter, gauge } from './metric.ts';
import type { MetricsRegistry } from './metrics-registry.ts';

/** How far a storage is archived. */
interface ArchiveProgress {
  readonly storage: string;
  readonly lastEvent: number;
  readonly archivedEvent: number;
  readonly behindMs: number;
}

export const ARCHIVES = {
  behind: gauge(
    'gitaly_ts_archive_behind_seconds',
    ['storage'],
    'Age of the oldest change of a storage that is not archived; 0 if all are.',
  ),
  waiting: gauge(
    'gitaly_ts_archive_waiting_events',
    ['storage'],
    'Changes of a storage that are not archived.',
  ),
  failures: counter(
    'gitaly_ts_archive_failures_total',
    ['storage'],
    'Attempts to archive something that failed and are repeated.',
  ),
};

/**
 * Declares the metrics of archives. Their progress is read at each collection; of several archives
 * of a storage, it is that of the last one.
 */
export function archiveMetrics(registry: MetricsRegistry, progress: () => Iterable<ArchiveProgress>) {
  const { behind, failures, waiting } = registry.declare(ARCHIVES);
  registry.beforeCollect(() => {
    const worst = new Map<string, ArchiveProgress>();
    for (const each of progress())
      if ((worst.get(each.storage)?.archivedEvent ?? Number.POSITIVE_INFINITY) >= each.archivedEvent)
        worst.set(each.storage, each);
    for (const { archivedEvent, behindMs, lastEvent, storage } of worst.values()) {
      behind.with({ storage }).set(behindMs / 1000);
      waiting.with({ storage }).set(Math.max(0, lastEvent - Math.max(0, archivedEvent)));
    }
  });
  return { failed: (storage: string) => failures.with({ storage }).inc() };
}
