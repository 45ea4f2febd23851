import type { Connection } from '#client/index';
import { type BackupName, findManifest, isMissing } from '#domain/backup/manifests';
import type { ObjectStore } from '#object-store/object-store';
import type { BackupJob } from './job.ts';
import { SkippedError } from './operator.ts';
import { Pipeline, type PipelineListener } from './pipeline.ts';
import { StoreOperator } from './store-operator.ts';

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

/** Object pools. The backup of a repository contains the objects that it borrows. */
export const POOL = /(?:^|\/)@(?:cluster\/)?pools\//;

/**
 * Backs up all repositories of a storage. Those that the backup has already are skipped, so that
 * one that was interrupted continues under its name.
 *
 * @returns a text that lists the failures; `undefined` without any.
 */
export async function backUpStorage(options: BackUpStorageOptions): Promise<string | undefined> {
  const { connection, storageName, store, id, incremental, parallel, listener, signal } = options;
  const operator = new StoreOperator(store, { of: () => Promise.resolve(connection) }, () => {});
  // One that was interrupted has no mark, so it is not the base of its own increments.
  const latestId = incremental ? ((await operator.latestId(signal)) ?? '') : '';
  const jobs = await jobsOf(connection, storageName, signal);
  listener.onFound(jobs.length);
  const run = async (job: BackupJob): Promise<void> => {
    if (await hasBackup(store, job, id, signal)) throw new SkippedError('it is in the backup');
    await operator.create(job, { id, incremental, latestId, signal });
  };
  const pipeline = new Pipeline({ listener, parallel, parallelStorage: 0, run, signal });
  try {
    for (const job of jobs) await pipeline.handle(job);
  } finally {
    await pipeline.end();
  }
  const { failures } = await pipeline.end();
  signal.throwIfAborted();
  await operator.writeId(id, signal);
  return failures;
}

async function jobsOf(
  connection: Connection,
  storageName: string,
  signal: AbortSignal,
): Promise<BackupJob[]> {
  const server = { address: '', token: '' };
  const jobs: BackupJob[] = [];
  for await (const { relativePath } of connection.internal.walkRepos({ storageName }, { signal }))
    if (!POOL.test(relativePath)) jobs.push({ server, storageName, relativePath, glProjectPath: '' });
  return jobs;
}

async function hasBackup(
  store: ObjectStore,
  name: BackupName,
  id: string,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await findManifest(store, name, id, { signal });
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
