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
    /** Receives the number of repositories before the first starts, and when there are more. */
    onFound(repositories: number): void;
  };
  readonly signal: AbortSignal;
}

/** Number of times that the repositories are listed: again as long as there are new ones. */
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
  const begun = new Set<string>();
  const run = async (job: BackupJob): Promise<void> => {
    // At the path of one that was stored just now there is another repository.
    const isStored = !begun.has(job.relativePath) && (await hasManifest(store, job, id, { signal }));
    begun.add(job.relativePath);
    if (!isStored) await operator.create(job, { id, incremental, latestId, signal });
    stored++;
    if (isStored) throw new SkippedError('it is in the backup');
  };
  const pipeline = new Pipeline({ listener, parallel, parallelStorage: 0, run, signal });
  let failed = 0;
  let known: ListedRepositories = new Map();
  let found = 0;
  try {
    // A repository that is renamed meanwhile is not found, and would be in no backup.
    for (let lists = 0; lists < MAX_LISTS; lists++) {
      const listed = await listRepositories(options);
      const jobs = newJobs(listed, known, options.storageName);
      if (jobs.length === 0) break;
      known = listed;
      found += jobs.length;
      listener.onFound(found);
      for (const job of jobs) await pipeline.handle(job);
      await pipeline.end();
    }
  } finally {
    ({ failed } = await pipeline.end());
  }
  signal.throwIfAborted();
  if (stored > 0) await operator.writeId(id, { failed, signal });
}

/** Times of the last changes of the directories of repositories, by path. */
type ListedRepositories = ReadonlyMap<string, string>;

async function listRepositories({
  connection,
  signal,
  storageName,
}: BackUpStorageOptions): Promise<ListedRepositories> {
  const listed = new Map<string, string>();
  const repositories = connection.internal.walkRepos({ storageName }, { signal });
  for await (const { modificationTime: time, relativePath } of repositories)
    if (!isPool(relativePath)) listed.set(relativePath, `${time?.seconds}.${time?.nanos}`);
  return listed;
}

/**
 * Returns jobs for the repositories that are not known yet. If a known one is gone, or has the time
 * that another one had before, some were renamed, maybe to the path of another known one: those
 * whose directories differ get a job again.
 */
function newJobs(listed: ListedRepositories, known: ListedRepositories, storageName: string): BackupJob[] {
  const server = { address: '', token: '' };
  const former = new Set(known.values());
  const others = [...listed].filter(([path, time]) => known.get(path) !== time);
  const isAnyRenamed =
    known.keys().some((path) => !listed.has(path)) || others.some(([, time]) => former.has(time));
  return others
    .filter(([path]) => isAnyRenamed || !known.has(path))
    .map(([relativePath]) => ({ server, storageName, relativePath, glProjectPath: '' }));
}
