import type { DescService } from '@bufbuild/protobuf';
import { AnalysisService } from '#wire/gen/analysis_pb';
import { BackupService } from '#wire/gen/backup_pb';
import { BlobService } from '#wire/gen/blob_pb';
import { CleanupService } from '#wire/gen/cleanup_pb';
import { RaftService } from '#wire/gen/cluster_pb';
import { CommitService } from '#wire/gen/commit_pb';
import { ConflictsService } from '#wire/gen/conflicts_pb';
import { DiffService } from '#wire/gen/diff_pb';
import { SettingsService } from '#wire/gen/gitalyts/settings/v1/settings_pb';
import { HookService } from '#wire/gen/hook_pb';
import { InternalGitaly } from '#wire/gen/internal_pb';
import { NamespaceService } from '#wire/gen/namespace_pb';
import { ObjectPoolService } from '#wire/gen/objectpool_pb';
import { OperationService } from '#wire/gen/operations_pb';
import { PartitionService } from '#wire/gen/partition_pb';
import { PraefectInfoService } from '#wire/gen/praefect_pb';
import { RefService } from '#wire/gen/ref_pb';
import { RemoteService } from '#wire/gen/remote_pb';
import { RepositoryService } from '#wire/gen/repository_pb';
import { ServerService } from '#wire/gen/server_pb';
import { SmartHTTPService } from '#wire/gen/smarthttp_pb';
import { SSHService } from '#wire/gen/ssh_pb';
import { RefTransaction } from '#wire/gen/transaction_pb';
import { WikiService } from '#wire/gen/wiki_pb';
import { type MethodInfo, methodInfo } from './method-info.ts';

/** All services of the package `gitaly`. */
export const gitalyServices: readonly DescService[] = [
  AnalysisService,
  BackupService,
  BlobService,
  CleanupService,
  CommitService,
  ConflictsService,
  DiffService,
  HookService,
  InternalGitaly,
  NamespaceService,
  ObjectPoolService,
  OperationService,
  PartitionService,
  PraefectInfoService,
  RaftService,
  RefService,
  RefTransaction,
  RemoteService,
  RepositoryService,
  SSHService,
  ServerService,
  SmartHTTPService,
  WikiService,
];

/** The services of a gitaly: all but the two that only a praefect serves. */
export const servedByGitaly: readonly DescService[] = gitalyServices.filter(
  (service) => service !== PraefectInfoService && service !== RefTransaction,
);

/** The services that a praefect passes on to its nodes, one of ours among them. */
const routedServices: readonly DescService[] = [...gitalyServices, SettingsService];

const infosByPath = new Map<string, MethodInfo>(
  routedServices.flatMap((service) => service.methods.map(methodInfo)).map((info) => [info.path, info]),
);

/** Returns the method with this `:path` that a praefect may pass on, or `undefined`. */
export function methodByPath(path: string): MethodInfo | undefined {
  return infosByPath.get(path);
}
