import type { Connection } from '#client/index';
import { hasManifest } from '#domain/backup/manifests';
import type { ObjectStore } from '#object-store/object-store';
import { type BackupJob, isPool } from './job.ts';
import { SkippedError } from './operator.ts';
import { Pipeline, type PipelineListener } from './pipeline.ts';
import { type RestoreListener, StoreOperator } from './store-operator.ts';

export interface BackUpStorageOptions {
  readonly connection: Connection;
  readonly storageName: string;
  readonly store: ObjectStore;
  readonly id: string;
  readonly incremental: boolean;
  /** Repositories at a time. */
  readonly parallel: number;
  readonly listener: PipelineListener & {
    /** Receives the number of repositories before the first starts. */
    onFound(repositories: number): void;
  };
  readonly signal: AbortSignal;
}

const RESTORES_NOTHING: RestoreListener = { onBundles: () => {}, onSkipped: () => {} };

/**
 * Backs up all repositories of a storage but pools: the backup of a repository contains the objects
 * that it borrows. Repositories that the backup has already are skipped, so that one that was
 * interrupted continues under its name.
 */
export async function backUpStorage(options: BackUpStorageOptions): Promise<void> {
  const { connection, storageName, store, id, incremental, parallel, listener, signal } = options;
  const operator = new StoreOperator(store, { of: () => Promise.resolve(connection) }, RESTORES_NOTHING);
  // An interrupted backup has no mark, so that its own increments are not based on it.
  const latestId = incremental ? ((await operator.latestId(signal)) ?? '') : '';
  const jobs = await jobsOf(connection, storageName, signal);
  listener.onFound(jobs.length);
  let stored = 0;
  const run = async (job: BackupJob): Promise<void> => {
    const isStored = await hasManifest(store, job, id, { signal });
    if (!isStored) await operator.create(job, { id, incremental, latestId, signal });
    stored++;
    if (isStored) throw new SkippedError('it is in the backup');
  };
  const pipeline = new Pipeline({ listener, parallel, parallelStorage: 0, run, signal });
  let failed = 0;
  try {
    for (const job of jobs) await pipeline.handle(job);
  } finally {
    ({ failed } = await pipeline.end());
  }
  signal.throwIfAborted();
  if (stored > 0) await operator.writeId(id, { failed, signal });
}

async function jobsOf(
  connection: Connection,
  storageName: string,
  signal: AbortSignal,
): Promise<BackupJob[]> {
  const server = { address: '', token: '' };
  const jobs: BackupJob[] = [];
  for await (const { relativePath } of connection.internal.walkRepos({ storageName }, { signal }))
    if (!isPool(relativePath)) jobs.push({ server, storageName, relativePath, glProjectPath: '' });
  return jobs;
}
