import { readFile } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { replaceFile } from '#base/files/replace-file';
import { gauge } from '#platform/metrics/metric';
import { MetricsRegistry } from '#platform/metrics/metrics-registry';

export interface BackupResult {
  readonly storage: string;
  /** True if all repositories are in the backup. */
  readonly isComplete: boolean;
  readonly repositories: Readonly<Record<'done' | 'skipped' | 'failed', number>>;
  readonly bytes: number;
  readonly seconds: number;
  readonly endedMs: number;
}

/** The last run of `gitaly-ts backup`, in the file of `--metrics-file`. */
export const LAST_BACKUP = {
  success: gauge(
    'gitaly_ts_backup_last_success_timestamp_seconds',
    ['storage'],
    'Unix time of the end of the last complete backup.',
  ),
  ended: gauge(
    'gitaly_ts_backup_last_run_timestamp_seconds',
    ['storage'],
    'Unix time of the end of the last backup.',
  ),
  seconds: gauge('gitaly_ts_backup_last_run_seconds', ['storage'], 'Duration of the last backup.'),
  bytes: gauge('gitaly_ts_backup_last_run_bytes', ['storage'], 'Bytes that the last backup stored.'),
  repositories: gauge(
    'gitaly_ts_backup_last_run_repositories',
    ['storage', 'outcome'],
    'Repositories of the last backup, by outcome.',
  ),
};

const MAX_BYTES = 64 * 1024;
/** The collector runs as another user. */
const FILE_MODE = 0o666;

/**
 * Writes the result as metrics, for the textfile collector of Prometheus' node_exporter. The time
 * of the last complete backup is kept from the file if this one is not complete.
 */
export async function writeMetricsFile(path: string, result: BackupResult): Promise<void> {
  const last = result.isComplete ? result.endedMs / 1000 : await lastSuccess(path, result.storage);
  await replaceFile(path, render(result, last), { durable: false, mode: FILE_MODE });
}

function render({ storage, repositories, bytes, seconds, endedMs }: BackupResult, last?: number): string {
  const registry = new MetricsRegistry();
  const metrics = registry.declare(LAST_BACKUP);
  if (last !== undefined) metrics.success.with({ storage }).set(last);
  metrics.ended.with({ storage }).set(endedMs / 1000);
  metrics.seconds.with({ storage }).set(seconds);
  metrics.bytes.with({ storage }).set(bytes);
  for (const [outcome, count] of Object.entries(repositories))
    metrics.repositories.with({ storage, outcome }).set(count);
  return registry.render('text');
}

/** Returns the time of the last complete backup in an earlier file, in seconds. */
async function lastSuccess(path: string, storage: string): Promise<number | undefined> {
  const text = await readFile(path, 'utf8').catch(ignoreMissing);
  if (text === undefined || text.length > MAX_BYTES) return undefined;
  const start = `${LAST_BACKUP.success.name}{storage=${JSON.stringify(storage)}} `;
  const line = text.split('\n').find((each) => each.startsWith(start));
  const seconds = Number(line?.slice(start.length));
  return Number.isFinite(seconds) ? seconds : undefined;
}
