import type { LfsFilterSettings } from '#domain/archive/lfs-filter';
import type { SharedArchives } from '#domain/archive/shared-archive';
import type { BackupObserver } from '#domain/backup/create-backup';
import type { LastBackups } from '#domain/backup/last-backups';
import type { BundleUris } from '#domain/bundle/bundle-uris';
import type { LinkedForks } from '#domain/fork/linked-forks';
import type { Housekeeping } from '#domain/housekeeping/housekeeping';
import type { LicenseCache } from '#domain/license/license-cache';
import type { RemoteRepositories } from '#domain/remote/server/remote-repositories';
import type { ObjectStore } from '#object-store/object-store';
import type { HandlersOf } from '#rpc/server/handler';
import type { VotingDependencies } from '#services/convert/request/voting-dependencies';
import type { DetailsLog } from '#services/convert/response/details-log';
import type { Storages } from '#storage/storages';
import type { RepositoryService } from '#wire/gen/repository_pb';
import type { OffloadingSettings } from './maintenance/refuse-offloading.ts';

export interface RepositoryDependencies extends VotingDependencies {
  readonly archives: SharedArchives;
  /** Logs `request details` of an archive. */
  readonly logDetails?: DetailsLog | undefined;
  /** Filter for LFS pointers in archives; `undefined` without GitLab. */
  readonly lfsFilter: LfsFilterSettings | undefined;
  readonly licenses: LicenseCache;
  readonly housekeeping: Housekeeping;
  readonly linkedForks: LinkedForks;
  readonly remotes: RemoteRepositories;
  readonly storages: Storages;
  /** `undefined` without `[backup] go_cloud_url`. */
  readonly backups:
    | { readonly bucket: ObjectStore; readonly observer: BackupObserver; readonly last: LastBackups }
    | undefined;
  readonly offloading: OffloadingSettings;
  /** True if all clients may migrate references: `[transactions] enabled`. */
  readonly migratesReferences: boolean;
  /** `undefined` without `[bundle_uri] go_cloud_url`. */
  readonly bundleUris: BundleUris | undefined;
}

export type Handlers = HandlersOf<typeof RepositoryService, RepositoryDependencies>;
