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

/** Lists of the repositories, each of which had some that those before did not have. */
const MAX_LISTS = 5;
const RESTORES_NOTHING: RestoreListener = { onBundles: () => {}, onSkipped: () => {} };

/**
 * Backs up all repositories of a storage but pools: the backup of a repository contains the objects
 * that it borrows. Repositories that the backup has already are skipped, so that one that was
 * interrupted continues under its name.
 */
export async function backUpStorage(options: BackUpStorageOptions): Promise<void> {
  const { connection, store, id, incremental, parallel, listener, signal } = options;
  const operator = new StoreOperator(store, { of: () => Promise.resolve(connection) }, RESTORES_NOTHING);
  // An interrupted backup has no mark, so that its own increments are not based on it.
  const latestId = incremental ? ((await operator.latestId(signal)) ?? '') : '';
  let stored = 0;
  const run = async (job: BackupJob): Promise<void> => {
    const isStored = await hasManifest(store, job, id, { signal });
    if (!isStored) await operator.create(job, { id, incremental, latestId, signal });
    stored++;
    if (isStored) throw new SkippedError('it is in the backup');
  };
  const pipeline = new Pipeline({ listener, parallel, parallelStorage: 0, run, signal });
  let failed = 0;
  const known = new Set<string>();
  try {
    // A repository that is renamed meanwhile is not found, and would be in no backup.
    for (let lists = 0; lists < MAX_LISTS; lists++) {
      const jobs = await newJobs(known, options);
      if (jobs.length === 0) break;
      listener.onFound(known.size);
      for (const job of jobs) await pipeline.handle(job);
      await pipeline.end();
    }
  } finally {
    ({ failed } = await pipeline.end());
  }
  signal.throwIfAborted();
  if (stored > 0) await operator.writeId(id, { failed, signal });
}

/** Returns jobs for the repositories that are not known yet, and adds these. */
async function newJobs(
  known: Set<string>,
  { connection, storageName, signal }: BackUpStorageOptions,
): Promise<BackupJob[]> {
  const server = { address: '', token: '' };
  const jobs: BackupJob[] = [];
  for await (const { relativePath } of connection.internal.walkRepos({ storageName }, { signal })) {
    if (isPool(relativePath) || known.has(relativePath)) continue;
    known.add(relativePath);
    jobs.push({ server, storageName, relativePath, glProjectPath: '' });
  }
  return jobs;
}
