import { GitalyError } from '#base/gitaly-error';
import { type ServedService, serve } from '#rpc/server/handler';
import { PartitionService } from '#wire/gen/partition_pb';

/**
 * Responds as a Gitaly 19.0 without transactions: partitions are the units of its write-ahead log,
 * which this server does not have.
 */
export function partitionService({
  hasBackups,
}: {
  /** True if server-side backups are configured. */
  readonly hasBackups: boolean;
}): ServedService {
  return serve(PartitionService, {
    backupPartition: () => {
      throw hasBackups
        ? new GitalyError('INTERNAL', 'backup partition: transaction not initialized')
        : new GitalyError('FAILED_PRECONDITION', 'backup partition: server-side backups are not configured');
    },
    listPartitions: () => {
      throw new GitalyError('INTERNAL', 'transactions not enabled');
    },
  });
}
