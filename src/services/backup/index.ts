import { GitalyError, invalidArgument, wrap, wrapped } from '#base/gitaly-error';
import { parseFailed, readLatestBackupId, writeBackupId } from '#domain/backup/backup-ids';
import type { LastBackups } from '#domain/backup/last-backups';
import type { ObjectCall, ObjectStore } from '#object-store/object-store';
import { MissingObjectError } from '#object-store/store-error';
import { FAILED_REPOSITORIES } from '#rpc/common/header-names';
import { type ResponseOf, type ServedService, serve } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import {
  BackupService,
  type ReadLatestBackupIDResponseSchema,
  type WriteBackupIDRequest,
  type WriteBackupIDResponseSchema,
} from '#wire/gen/backup_pb';

export interface BackupDependencies {
  /** Bucket of `[backup] go_cloud_url`. */
  readonly bucket: ObjectStore | undefined;
  readonly storages: Pick<Storages, 'all'>;
  readonly last: Pick<LastBackups, 'ended'>;
}

/** Ids of finished backups of all repositories. */
export function backupService({ bucket, last, storages }: BackupDependencies): ServedService {
  return serve(BackupService, {
    writeBackupID: async (request, { headers, signal }) => {
      const failed = parseFailed(headers.get(FAILED_REPOSITORIES));
      const response = await writeId(request, bucket, { failed, signal });
      // Programs write the id of a backup of all storages once.
      for (const storage of storages.all) await last.ended(storage, request.backupId);
      return response;
    },
    readLatestBackupID: (_request, { signal }) => readLatestId(bucket, { signal }),
  });
}

async function writeId(
  { backupId }: WriteBackupIDRequest,
  bucket: ObjectStore | undefined,
  options: ObjectCall & { readonly failed: number },
): ResponseOf<typeof WriteBackupIDResponseSchema> {
  const configured = requireBucket(bucket, 'write backup ID');
  if (backupId === '') throw invalidArgument('empty backup ID');
  await writeBackupId(configured, backupId, options).catch(wrapped('write backup id'));
  return {};
}

async function readLatestId(
  bucket: ObjectStore | undefined,
  options: ObjectCall,
): ResponseOf<typeof ReadLatestBackupIDResponseSchema> {
  const configured = requireBucket(bucket, 'read latest backup ID');
  try {
    return { backupId: await readLatestBackupId(configured, options) };
  } catch (error) {
    if (error instanceof MissingObjectError) throw wrap(error, 'no backup id markers found', 'NOT_FOUND');
    throw wrap(error, 'read latest backup id');
  }
}

function requireBucket(bucket: ObjectStore | undefined, call: string): ObjectStore {
  if (bucket === undefined)
    throw new GitalyError('FAILED_PRECONDITION', `${call}: server-side backups are not configured`);
  return bucket;
}
