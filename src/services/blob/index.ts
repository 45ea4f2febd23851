import type { ServiceImplementation } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import type { BlobService } from '#wire/gen/blob_pb';
import { getBlob } from './get-blob.ts';
import { getBlobs } from './get-blobs.ts';
import { getLfsPointers } from './get-lfs-pointers.ts';
import { listAllBlobs } from './list-all-blobs.ts';
import { listAllLfsPointers } from './list-all-lfs-pointers.ts';
import { listBlobs } from './list-blobs.ts';
import { listLfsPointers } from './list-lfs-pointers.ts';

export interface BlobRooms {
  readonly storages: Storages;
}

/** Contents of files. */
export function blobService(rooms: BlobRooms): ServiceImplementation<typeof BlobService> {
  return {
    getBlob: (request, context) => getBlob(request, context, rooms),
    getBlobs: (request, context) => getBlobs(request, context, rooms),
    listBlobs: (request, context) => listBlobs(request, context, rooms),
    listAllBlobs: (request, context) => listAllBlobs(request, context, rooms),
    getLFSPointers: (request, context) => getLfsPointers(request, context, rooms),
    listLFSPointers: (request, context) => listLfsPointers(request, context, rooms),
    listAllLFSPointers: (request, context) => listAllLfsPointers(request, context, rooms),
  };
}
