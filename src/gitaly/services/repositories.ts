import { detailsLog } from '#calls/logs/details-log';
import type { LfsFilterSettings } from '#domain/archive/lfs-filter';
import { LinkedForks } from '#domain/fork/linked-forks';
import { LicenseCache } from '#domain/license/license-cache';
import type { GitalyConfig } from '#platform/config/load-config';
import type { ServedService } from '#rpc/server/handler';
import { backupService } from '#services/backup/index';
import { objectPoolService } from '#services/objectpool/index';
import { partitionService } from '#services/partition/index';
import { raftService } from '#services/raft/index';
import { remoteService } from '#services/remote/index';
import { repositoryService } from '#services/repository/index';
import { limitFactory } from '../limits/limit-factory.ts';
import type { ServiceFoundation } from './shared-operations.ts';
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

/** Returns the operation that creates forks. It is limited across all processes of the server. */
function linkedForksOf({ family, storages }: Pick<ServiceFoundation, 'family' | 'storages'>): LinkedForks {
  return new LinkedForks(storages, limitFactory(family).keyed('(forks)', { capacityPerOwner: 1 }));
}

/** Variables with which the libraries of buckets find their credentials and addresses. */
const OF_BUCKETS = /^(?:AWS|AZURE|GOOGLE|GCE|GCLOUD)_|^(?:STORAGE_EMULATOR_HOST|NODE_EXTRA_CA_CERTS)$/;

/**
 * Returns the filter for LFS pointers with the configuration that it needs to reach the store of
 * the server, or else GitLab, in Gitaly's names; `undefined` without both.
 *
 * @param program path of `gitaly-lfs-smudge`.
 */
function lfsFilterSettings(
  { gitlab, lfs, tls }: GitalyConfig,
  program: string,
): LfsFilterSettings | undefined {
  if (lfs.url) {
    const variables = Object.entries(process.env).filter(
      (entry): entry is [string, string] => OF_BUCKETS.test(entry[0]) && entry[1] !== undefined,
    );
    return { program, source: { storeUrl: lfs.url }, env: Object.fromEntries(variables) };
  }
  if (!gitlab.url) return undefined;
  const http = gitlab.httpSettings;
  return {
    program,
    env: {},
    source: {
      gitlab: {
        url: gitlab.url,
        relative_url_root: gitlab.relativeUrlRoot,
        http_settings: {
          read_timeout: http.readTimeout,
          user: http.user,
          password: http.password?.reveal(),
          ca_file: http.caFile,
          ca_path: http.caPath,
        },
        secret_file: gitlab.secretFile,
        secret: gitlab.secret?.reveal(),
      },
      tls: { certificate_path: tls.certificatePath, key_path: tls.keyPath },
    },
  };
}
