import { stat, statfs } from 'node:fs/promises';
import { systemErrorCode } from '#base/go/system-error';
import type { ResponseOf } from '#rpc/server/handler';
import type { Storage } from '#storage/repository-target';
import { readStorageMetadata } from '#storage/storage-metadata';
import type { ServerInfoResponse_StorageStatusSchema, ServerInfoResponseSchema } from '#wire/gen/server_pb';
import type { ServerDependencies } from './dependencies.ts';
import { fileSystemName } from './file-system-name.ts';

const OWNER_WRITE = 0o200;
const OWNER_READ_AND_ENTER = 0o500;

/**
 * Returns the versions of the server and of git, and the state and file system of each storage.
 */
export async function serverInfo(deps: ServerDependencies): ResponseOf<typeof ServerInfoResponseSchema> {
  return {
    serverVersion: deps.serverVersion,
    gitVersion: deps.storages.git.version,
    storageStatuses: await Promise.all(deps.storages.all.map(storageStatus)),
  };
}

/**
 * Returns the state of a storage. Readable and writeable follow the owner's mode bits, as in
 * Gitaly: root may have more rights, an access list may allow fewer.
 */
async function storageStatus(storage: Storage): ResponseOf<typeof ServerInfoResponse_StorageStatusSchema> {
  const [stats, fileSystem, metadata] = await Promise.all([
    stat(storage.path).catch(absent),
    statfs(storage.path).catch(absent),
    readStorageMetadata(storage),
  ]);
  const mode = stats?.mode ?? 0;
  return {
    storageName: storage.name,
    readable: (mode & OWNER_READ_AND_ENTER) === OWNER_READ_AND_ENTER,
    writeable: (mode & OWNER_WRITE) === OWNER_WRITE,
    fsType: fileSystemName(fileSystem?.type),
    filesystemId: metadata?.gitalyFilesystemId ?? '',
    replicationFactor: 1,
  };
}

function absent(error: unknown): undefined {
  if (systemErrorCode(error) !== undefined) return undefined;
  throw error;
}
