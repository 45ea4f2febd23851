import { detailsLog } from '#calls/logs/details-log';
import { LicenseCache } from '#domain/license/license-cache';
import { type ServedService, serve } from '#rpc/server/handler';
import { backupService } from '#services/backup/index';
import { objectPoolService } from '#services/objectpool/index';
import { partitionService } from '#services/partition/index';
import { raftService } from '#services/raft/index';
import { remoteService } from '#services/remote/index';
import { repositoryService } from '#services/repository/index';
import { BackupService } from '#wire/gen/backup_pb';
import { RaftService } from '#wire/gen/cluster_pb';
import { ObjectPoolService } from '#wire/gen/objectpool_pb';
import { PartitionService } from '#wire/gen/partition_pb';
import { RemoteService } from '#wire/gen/remote_pb';
import { RepositoryService } from '#wire/gen/repository_pb';
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
    serve(BackupService, backupService({ bucket: buckets.backup, storages, last: lastBackups })),
    serve(ObjectPoolService, objectPoolService({ storages, housekeeping, ...votes })),
    serve(PartitionService, partitionService({ hasBackups: buckets.backup !== undefined })),
    serve(RaftService, raftService()),
    serve(RemoteService, remoteService({ storages })),
    serve(
      RepositoryService,
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
    ),
  ];
}
