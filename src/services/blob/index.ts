import type { ServiceImplementation } from '#rpc/server/handler';
import type { BlobService } from '#wire/gen/blob_pb';
import type { BlobDependencies } from './dependencies.ts';
import { getBlob } from './get-blob.ts';
import { getBlobs } from './get-blobs.ts';
import { getLfsPointers, listAllLfsPointers, listLfsPointers } from './lfs-pointers.ts';
import { listAllBlobs, listBlobs } from './list-blobs.ts';

/** Contents of files. */
export function blobService(deps: BlobDependencies): ServiceImplementation<typeof BlobService> {
  return {
    getBlob: (request, context) => getBlob(request, context, deps),
    getBlobs: (request, context) => getBlobs(request, context, deps),
    listBlobs: (request, context) => listBlobs(request, context, deps),
    listAllBlobs: (request, context) => listAllBlobs(request, context, deps),
    getLFSPointers: (request, context) => getLfsPointers(request, context, deps),
    listLFSPointers: (request, context) => listLfsPointers(request, context, deps),
    listAllLFSPointers: (request, context) => listAllLfsPointers(request, context, deps),
  };
}
