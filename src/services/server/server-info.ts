import { stat, statfs } from 'node:fs/promises';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { systemErrorCode } from '#base/system-error';
import type { Storage } from '#storage/repository-target';
import { readStorageMetadata } from '#storage/storage-metadata';
import type { ServerInfoResponse_StorageStatusSchema, ServerInfoResponseSchema } from '#wire/gen/server_pb';
import { fileSystemName } from './file-system-name.ts';
import type { ServerRooms } from './index.ts';

const OWNER_WRITE = 0o200;
const OWNER_READ_AND_ENTER = 0o500;

/** The versions of the server and of git, and for each storage whether it can be used and which file system it is. */
export async function serverInfo(rooms: ServerRooms): Promise<MessageInitShape<typeof ServerInfoResponseSchema>> {
  return {
    serverVersion: rooms.serverVersion,
    gitVersion: rooms.storages.git.version,
    storageStatuses: await Promise.all(rooms.storages.all.map(storageStatus)),
  };
}

/** Readable and writeable go by the owner's mode bits, as Gitaly has it: root may do more, an access list may allow less. */
async function storageStatus(storage: Storage): Promise<MessageInitShape<typeof ServerInfoResponse_StorageStatusSchema>> {
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
