/**
 * The messages, enums and services of the interface: `import { ObjectFormat,
 * UserMergeBranchErrorSchema } from 'gitaly-ts/messages'`. With them the functions of
 * `@bufbuild/protobuf` that programs need for messages, so that they need not depend on it.
 */

export {
  create,
  fromBinary,
  isMessage,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
export {
  type Duration,
  durationMs,
  type Timestamp,
  timestampDate,
  timestampFromDate,
} from '@bufbuild/protobuf/wkt';

export * from '#wire/gen/analysis_pb';
export * from '#wire/gen/backup_pb';
export * from '#wire/gen/blob_pb';
export * from '#wire/gen/cleanup_pb';
export * from '#wire/gen/cluster_pb';
export * from '#wire/gen/commit_pb';
export * from '#wire/gen/conflicts_pb';
export * from '#wire/gen/diff_pb';
export * from '#wire/gen/errors_pb';
export * from '#wire/gen/hook_pb';
export * from '#wire/gen/internal_pb';
export * from '#wire/gen/log_pb';
export * from '#wire/gen/namespace_pb';
export * from '#wire/gen/objectpool_pb';
export * from '#wire/gen/operations_pb';
export * from '#wire/gen/packfile_pb';
export * from '#wire/gen/partition_pb';
export * from '#wire/gen/praefect_pb';
export * from '#wire/gen/ref_pb';
export * from '#wire/gen/remote_pb';
export * from '#wire/gen/repository_pb';
export * from '#wire/gen/repository-service_pb';
export * from '#wire/gen/server_pb';
export * from '#wire/gen/service_config_pb';
export * from '#wire/gen/shared_pb';
export * from '#wire/gen/smarthttp_pb';
export * from '#wire/gen/ssh_pb';
export * from '#wire/gen/transaction_pb';
export * from '#wire/gen/wiki_pb';
