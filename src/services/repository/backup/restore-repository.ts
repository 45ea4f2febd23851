import { GitalyError, wrap, wrapped } from '#base/gitaly-error';
import { restoreBackup } from '#domain/backup/restore-backup';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import { requireTarget } from '#storage/require-target';
import type { RestoreRepositoryRequest, RestoreRepositoryResponseSchema } from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Restores the state of a repository at the time of a backup. */
export async function restoreRepository(
  request: RestoreRepositoryRequest,
  context: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof RestoreRepositoryResponseSchema> {
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
}

function prefixed<T>(prefix: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    throw wrap(error, prefix, 'INVALID_ARGUMENT');
  }
}
