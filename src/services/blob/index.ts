import type { ServiceImplementation } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import type { BlobService } from '#wire/gen/blob_pb';
import { getBlob } from './get-blob.ts';

export interface BlobRooms {
  readonly storages: Storages;
}

/** Contents of files. */
export function blobService(rooms: BlobRooms): ServiceImplementation<typeof BlobService> {
  return {
    getBlob: (request, context) => getBlob(request, context, rooms),
  };
}
