import { detailsLog } from '#calls/logs/details-log';
import { LicenseCache } from '#domain/license/license-cache';
import type { ServedService } from '#rpc/server/handler';
import { backupService } from '#services/backup/index';
import { objectPoolService } from '#services/objectpool/index';
import { partitionService } from '#services/partition/index';
import { raftService } from '#services/raft/index';
import { remoteService } from '#services/remote/index';
import { repositoryService } from '#services/repository/index';
import { lfsFilterSettings } from './lfs-filter-settings.ts';
import { linkedForksOf } from './linked-forks.ts';
import type { ServiceFoundation } from './service-foundation.ts';
import { createStreamCache } from './stream-caches.ts';

/** Returns the services that create, keep and copy whole repositories. `resources` ends them. */
export async function repositoryServices(
  { maintenance: { housekeeping }, ...shared }: ServiceFoundation,
  resources: AsyncDisposableStack,
): Promise<readonly ServedService[]> {
  const { buckets, bundleUris, config, family, lastBackups, logger, metrics, programs, remotes, storages } =
    shared;
  const { voteOf, transactionHooks } = shared;
  const votes = { voteOf, transactionHooks };
  const cacheOptions = { config, family, storages, logger, metrics: metrics.packs };
  const archives = {
    streams: resources.use(await createStreamCache<void>('archiveCache', cacheOptions)),
    isCacheEnabled: config.archiveCache.enabled,
  };
  return [
    backupService({ bucket: buckets.backup, storages, last: lastBackups }),
    objectPoolService({ storages, housekeeping, ...votes }),
    partitionService({ hasBackups: buckets.backup !== undefined }),
    raftService(),
    remoteService({ storages }),
    repositoryService({
      archives,
      logDetails: detailsLog(logger),
      lfsFilter: lfsFilterSettings(config, programs.path('gitaly-lfs-smudge')),
      licenses: new LicenseCache(),
      housekeeping,
      linkedForks: linkedForksOf(shared),
      remotes,
      storages,
      ...votes,
      backups: buckets.backup && { bucket: buckets.backup, observer: metrics.backups, last: lastBackups },
      offloading: config.offloading,
      migratesReferences: config.transactions.enabled,
      bundleUris,
    }),
  ];
}
