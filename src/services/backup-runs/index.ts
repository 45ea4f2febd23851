import { invalidArgument } from '#base/gitaly-error';
import type { BackupRun } from '#domain/backup/backup-runs';
import type { LastBackups } from '#domain/backup/last-backups';
import { type ServedService, serve } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import { BackupRunService, type ReportRequest } from '#wire/gen/gitalyts/backups/v1/backups_pb';
import { decodeRun, encodeRun } from './messages.ts';

export interface BackupRunDependencies {
  readonly storages: Pick<Storages, 'storage'>;
  readonly lastBackups: Pick<LastBackups, 'all' | 'last' | 'reported'>;
}

/** Longest name of a backup, a program or a repository. */
const MAX_NAME_LENGTH = 1024;
const MAX_PROBLEM_LENGTH = 4096;

/** Implements the last backups of storages. */
export function backupRunService({ lastBackups, storages }: BackupRunDependencies): ServedService {
  return serve(BackupRunService, {
    async report(request) {
      const storage = storages.storage(request.storageName);
      await lastBackups.reported(storage, { ...reportedRun(request), timeMs: Date.now(), isEnded: true });
      return {};
    },
    async last({ everything, storageName }) {
      const storage = storages.storage(storageName);
      const runs = await (everything ? lastBackups.all(storage) : lastBackups.last(storage));
      return { runs: runs.map(encodeRun) };
    },
  });
}

/** @throws {GitalyError} INVALID_ARGUMENT */
function reportedRun({ run }: ReportRequest): BackupRun {
  if (run === undefined || run.id === '' || run.program === '')
    throw invalidArgument('report: run.id or run.program is empty');
  if (Math.max(run.id.length, run.program.length, run.failedRepository.length) > MAX_NAME_LENGTH)
    throw invalidArgument('report: a name is too long');
  return decodeRun({ ...run, problem: run.problem.slice(0, MAX_PROBLEM_LENGTH) });
}
