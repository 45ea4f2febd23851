import { serveWith } from '#rpc/server/handler';
import { BlobService } from '#wire/gen/blob_pb';
import type { BlobDependencies } from './dependencies.ts';
import { getBlob } from './get-blob.ts';
import { getBlobs } from './get-blobs.ts';
import { getLfsPointers, listAllLfsPointers, listLfsPointers } from './lfs-pointers.ts';
import { listAllBlobs, listBlobs } from './list-blobs.ts';

/** Contents of files. */
export function blobService(deps: BlobDependencies) {
  return serveWith(BlobService, deps, {
    getBlob,
    getBlobs,
    listBlobs,
    listAllBlobs,
    getLFSPointers: getLfsPointers,
    listLFSPointers: listLfsPointers,
    listAllLFSPointers: listAllLfsPointers,
  });
}
