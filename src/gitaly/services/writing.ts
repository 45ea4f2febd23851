import type { ServedService } from '#rpc/server/handler';
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
    archiveService(archives),
    backupRunService({ storages, lastBackups }),
    cleanupService({ storages, ...votes }),
    conflictsService({ storages, hooks, remotes }),
    lifetimeService({ storages }),
    operationService({ storages, hooks, remotes, commitSigning, ...votes }),
    refService({ storages, lists, knownCommits, fillsOldFields, ...votes }),
    settingsService({ storages, voteOf }),
  ];
}
