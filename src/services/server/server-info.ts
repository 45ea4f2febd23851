import { stat, statfs } from 'node:fs/promises';
import { systemErrorCode } from '#base/go/system-error';
import type { ResponseOf } from '#rpc/server/handler';
import type { Storage } from '#storage/repository-target';
import { readStorageMetadata } from '#storage/storage-metadata';
import type { ServerInfoResponse_StorageStatusSchema } from '#wire/gen/server_pb';
import type { Handlers } from './dependencies.ts';

/**
 * File systems that a storage may lie on, by the magic number of Linux (`man 2 statfs`). Clients
 * know them by these names.
 */
const NAMES: ReadonlyMap<number, string> = new Map([
  [0xadf5, 'ADFS'],
  [0xadff, 'AFFS'],
  [0x5346414f, 'AFS'],
  [0x42465331, 'BEFS'],
  [0x9123683e, 'BTRFS'],
  [0xff534d42, 'CIFS_NUMBER'],
  [0x73757245, 'CODA'],
  [0xf15f, 'ECRYPTFS'],
  [0x137d, 'EXT'],
  [0xef51, 'EXT2_OLD'],
  [0xef53, 'EXT_2_3_4'],
  [0xf2f52010, 'F2FS'],
  [0x65735546, 'FUSE'],
  [0x4244, 'HFS'],
  [0x00c0ffee, 'HOSTFS'],
  [0xf995e849, 'HPFS'],
  [0x72b6, 'JFFS2'],
  [0x3153464a, 'JFS'],
  [0x137f, 'MINIX'],
  [0x4d5a, 'MINIX3'],
  [0x4d44, 'MSDOS'],
  [0x564c, 'NCP'],
  [0x6969, 'NFS'],
  [0x3434, 'NILFS'],
  [0x5346544e, 'NTFS_SB'],
  [0x7461636f, 'OCFS2'],
  [0x794c7630, 'OVERLAYFS'],
  [0x858458f6, 'RAMFS'],
  [0x52654973, 'REISERFS'],
  [0x517b, 'SMB'],
  [0x73717368, 'SQUASHFS'],
  [0x01021994, 'TMPFS'],
  [0x15013346, 'UDF'],
  [0x00011954, 'UFS'],
  [0x01021997, 'V9FS'],
  [0xa501fcf5, 'VXFS'],
  [0x58465342, 'XFS'],
]);

/** Returns the name of a file system; `unknown` for one that is not listed or cannot be read. */
function fileSystemName(magic: number | undefined): string {
  // Node gives magic numbers above 2^31 as negative numbers on some platforms.
  return (magic === undefined ? undefined : NAMES.get(magic >>> 0)) ?? 'unknown';
}

const OWNER_WRITE = 0o200;
const OWNER_READ_AND_ENTER = 0o500;

/**
 * Returns the versions of the server and of git, and the state and file system of each storage.
 */
export const serverInfo: Handlers['serverInfo'] = async (_request, _context, deps) => {
  return {
    serverVersion: deps.serverVersion,
    gitVersion: deps.storages.git.version,
    storageStatuses: await Promise.all(deps.storages.all.map(storageStatus)),
  };
};

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
