import { type ServedService, serve } from '#rpc/server/handler';
import { archiveCalls, archiveService } from '#services/archives/index';
import { backupRunService } from '#services/backup-runs/index';
import { cleanupService } from '#services/cleanup/index';
import { conflictsService } from '#services/conflicts/index';
import { lifetimeService } from '#services/lifetimes/index';
import { operationService } from '#services/operation/index';
import { KnownCommits } from '#services/ref/branches/known-commits';
import { refService } from '#services/ref/index';
import { RememberedLists } from '#services/ref/remembered-lists';
import { settingsService } from '#services/settings/index';
import { CleanupService } from '#wire/gen/cleanup_pb';
import { ConflictsService } from '#wire/gen/conflicts_pb';
import { ArchiveService } from '#wire/gen/gitalyts/archives/v1/archives_pb';
import { BackupRunService } from '#wire/gen/gitalyts/backups/v1/backups_pb';
import { LifetimeService } from '#wire/gen/gitalyts/lifetimes/v1/lifetimes_pb';
import { SettingsService } from '#wire/gen/gitalyts/settings/v1/settings_pb';
import { OperationService } from '#wire/gen/operations_pb';
import { RefService } from '#wire/gen/ref_pb';
import { answerForArchives, remoteArchives } from '../family/remote-archives.ts';
import type { ServiceFoundation } from './service-foundation.ts';

/** Returns the services that change commits and references, and those of archives and of backup results. */
export function writingServices({
  archive,
  commitSigning,
  family,
  fillsOldFields,
  hooks,
  lastBackups,
  remotes,
  storages,
  transactionHooks,
  voteOf,
}: ServiceFoundation): readonly ServedService[] {
  const votes = { voteOf, transactionHooks };
  const [lists, knownCommits] = [new RememberedLists(), new KnownCommits()];
  const archives =
    family?.role === 'worker' ? remoteArchives(family.link) : archiveCalls({ archive, storages });
  if (family?.role === 'supervisor') answerForArchives(family.desk, archives);
  return [
    serve(ArchiveService, archiveService(archives)),
    serve(BackupRunService, backupRunService({ storages, lastBackups })),
    serve(CleanupService, cleanupService({ storages, ...votes })),
    serve(ConflictsService, conflictsService({ storages, hooks, remotes })),
    serve(LifetimeService, lifetimeService({ storages })),
    serve(OperationService, operationService({ storages, hooks, remotes, commitSigning, ...votes })),
    serve(RefService, refService({ storages, lists, knownCommits, fillsOldFields, ...votes })),
    serve(SettingsService, settingsService({ storages, voteOf })),
  ];
}
