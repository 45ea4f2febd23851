import { statfs } from 'node:fs/promises';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { systemErrorText } from '#base/go/system-error';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type { Storage } from '#storage/repository-target';
import type {
  DiskStatisticsResponse_StorageStatusSchema,
  DiskStatisticsResponseSchema,
} from '#wire/gen/server_pb';
import type { ServerDependencies } from './dependencies.ts';

type StorageStatus = MessageInitShape<typeof DiskStatisticsResponse_StorageStatusSchema>;

/**
 * Returns the free and used bytes of the storages' file systems. A storage whose call fails is
 * listed without numbers.
 */
export async function diskStatistics(
  context: HandlerContext,
  deps: ServerDependencies,
): ResponseOf<typeof DiskStatisticsResponseSchema> {
  return {
    storageStatuses: await Promise.all(deps.storages.all.map((storage) => storageStatus(storage, context))),
  };
}

async function storageStatus(storage: Storage, context: HandlerContext): Promise<StorageStatus> {
  try {
    const { bavail, bfree, blocks, bsize } = await statfs(storage.path, { bigint: true });
    return { storageName: storage.name, available: bavail * bsize, used: (blocks - bfree) * bsize };
  } catch (error) {
    context.log.add({ [`disk_statistics_error.${storage.name}`]: systemErrorText(error) });
    return { storageName: storage.name };
  }
}
