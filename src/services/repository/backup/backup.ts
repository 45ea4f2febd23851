import { GitalyError, invalidArgument, messageOf, wrap, wrapped } from '#base/gitaly-error';
import { createBackup } from '#domain/backup/create-backup';
import { LocalSource } from '#domain/backup/local-source';
import { restoreBackup } from '#domain/backup/restore-backup';
import { requireTarget } from '#storage/require-target';
import type { Handlers } from '../dependencies.ts';

/** Stores a full or incremental backup of a repository in the configured bucket. */
export const backupRepository: Handlers['backupRepository'] = async (
  request,
  { signal },
  { storages, backups },
) => {
  if (backups === undefined)
    throw new GitalyError('FAILED_PRECONDITION', 'backup repository: server-side backups are not configured');
  const { repository, backupId: id, incremental, latestBackupId: latestId } = request;
  if (id === '') throw invalidArgument('empty BackupId');
  const { relativePath, storage } = storages.locate(repository);
  const name = requireTarget(request.vanityRepository);

  const { bucket, last, observer } = backups;
  const source = new LocalSource(() => storages.open(repository), signal);
  const options = { name, id, incremental, latestId, observer, signal };
  await createBackup(bucket, source, options).catch(async (error: unknown) => {
    await last.failed(storage, id, relativePath, messageOf(error));
    throw wrap(error, 'backup repository');
  });
  await last.stored(storage, id);
  return {};
};

/** Restores the state of a repository at the time of a backup. */
export const restoreRepository: Handlers['restoreRepository'] = async (request, context, deps) => {
  const { storages, backups } = deps;
  if (backups === undefined)
    throw new GitalyError(
      'FAILED_PRECONDITION',
      'restore repository: server-side backups are not configured',
    );
  const target = prefixed('restore repository: repository', () => {
    storages.locate(request.repository);
    return requireTarget(request.repository);
  });
  const name = prefixed('restore repository: vanity repository', () =>
    requireTarget(request.vanityRepository),
  );
  await restoreBackup(backups.bucket, storages, target, {
    name,
    id: request.backupId,
    useLatest: request.useLatest,
    hooks: deps.transactionHooks(context),
    vote: deps.voteOf(context),
    onSkipped: (references) => context.log.add({ 'restore.skipped_references': references }),
    signal: context.signal,
  }).catch(wrapped('restore repository'));
  return {};
};

function prefixed<T>(prefix: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    throw wrap(error, prefix, 'INVALID_ARGUMENT');
  }
}
