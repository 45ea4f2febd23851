import type { HandlersOf } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import type { BlobService } from '#wire/gen/blob_pb';

export interface BlobDependencies {
  readonly storages: Storages;
}

export type Handlers = HandlersOf<typeof BlobService, BlobDependencies>;
