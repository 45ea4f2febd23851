import { messageOf } from '#base/gitaly-error';
import { observeInProcess } from '#calls/cost/in-process-answers';
import { observeLookups } from '#calls/cost/object-lookups';
import { runningCall } from '#calls/running-call';
import type { Git } from '#git/command/git';
import { InProcess } from '#git/command/in-process';
import { RepositoryCaches } from '#git/repository-caches';
import { catFileMetrics } from '#platform/metrics/cache-metrics';
import { repositoryCountMetrics } from '#platform/metrics/repository-count-metrics';
import { storageSpaceMetrics } from '#platform/metrics/storage-space-metrics';
import { ensureStorageMetadata } from '#storage/storage-metadata';
import { Storages } from '#storage/storages';
import { answerForAccounts, remoteAccounts } from './family/remote-accounts.ts';
import type { Foundation } from './foundation.ts';

/** Opens the configured storages. `caches` releases the caches of their repositories. */
export async function openStorages(
  git: Git,
  { config, metrics, logger, family }: Pick<Foundation, 'config' | 'metrics' | 'logger' | 'family'>,
): Promise<{ storages: Storages; caches: RepositoryCaches }> {
  const caches = new RepositoryCaches(git, {
    catFileProcesses: config.git.catfileCacheSize,
    lookupObserver: observeLookups(),
    inProcess: new InProcess({
      isEnabled: config.git.inProcess,
      observer: observeInProcess(metrics.inProcess),
    }),
  });
  catFileMetrics(metrics.registry, () => ({ ...caches.catFiles.counts, members: caches.catFiles.members }));
  const storages = new Storages({
    storages: config.storage,
    caches,
    mover: runningCall,
    ...(family?.role === 'worker' && remoteAccounts(family.link)),
  });
  if (family?.role === 'supervisor') answerForAccounts(family.desk, storages);
  repositoryCountMetrics(metrics.registry, () => storages.repositoryCounts.entries());
  if (family?.role === 'worker') return { storages, caches }; // the supervisor does the rest
  storageSpaceMetrics(metrics.registry, storages.all);
  for (const storage of storages.all) {
    await ensureStorageMetadata(storage).catch((error: unknown) =>
      logger.error(
        { error: messageOf(error), storage: storage.name },
        'Unable to write gitaly metadata file',
      ),
    );
  }
  return { storages, caches };
}
