import type { DescFile } from '@bufbuild/protobuf';
import { file_analysis } from '#wire/gen/analysis_pb';
import { file_backup } from '#wire/gen/backup_pb';
import { file_blob } from '#wire/gen/blob_pb';
import { file_cleanup } from '#wire/gen/cleanup_pb';
import { file_cluster } from '#wire/gen/cluster_pb';
import { file_commit } from '#wire/gen/commit_pb';
import { file_conflicts } from '#wire/gen/conflicts_pb';
import { file_diff } from '#wire/gen/diff_pb';
import { file_errors } from '#wire/gen/errors_pb';
import { file_gitalyts_archives_v1_archives } from '#wire/gen/gitalyts/archives/v1/archives_pb';
import { file_gitalyts_backups_v1_backups } from '#wire/gen/gitalyts/backups/v1/backups_pb';
import { file_gitalyts_events_v1_events } from '#wire/gen/gitalyts/events/v1/events_pb';
import { file_gitalyts_lifetimes_v1_lifetimes } from '#wire/gen/gitalyts/lifetimes/v1/lifetimes_pb';
import { file_gitalyts_settings_v1_settings } from '#wire/gen/gitalyts/settings/v1/settings_pb';
import { file_google_rpc_status } from '#wire/gen/google/rpc/status_pb';
import { file_grpc_health_v1_health } from '#wire/gen/grpc/health/v1/health_pb';
import { file_grpc_reflection_v1_reflection } from '#wire/gen/grpc/reflection/v1/reflection_pb';
import { file_grpc_reflection_v1alpha_reflection } from '#wire/gen/grpc/reflection/v1alpha/reflection_pb';
import { file_hook } from '#wire/gen/hook_pb';
import { file_internal } from '#wire/gen/internal_pb';
import { file_lint } from '#wire/gen/lint_pb';
import { file_log } from '#wire/gen/log_pb';
import { file_namespace } from '#wire/gen/namespace_pb';
import { file_objectpool } from '#wire/gen/objectpool_pb';
import { file_operations } from '#wire/gen/operations_pb';
import { file_packfile } from '#wire/gen/packfile_pb';
import { file_partition } from '#wire/gen/partition_pb';
import { file_praefect } from '#wire/gen/praefect_pb';
import { file_ref } from '#wire/gen/ref_pb';
import { file_remote } from '#wire/gen/remote_pb';
import { file_repository } from '#wire/gen/repository_pb';
import { file_repository_service } from '#wire/gen/repository-service_pb';
import { file_server } from '#wire/gen/server_pb';
import { file_service_config } from '#wire/gen/service_config_pb';
import { file_shared } from '#wire/gen/shared_pb';
import { file_smarthttp } from '#wire/gen/smarthttp_pb';
import { file_ssh } from '#wire/gen/ssh_pb';
import { file_transaction } from '#wire/gen/transaction_pb';
import { file_versions } from '#wire/gen/versions_pb';
import { file_wiki } from '#wire/gen/wiki_pb';

/** The files of the package `gitaly` and of its options, ordered by name. */
export const gitalyFiles: readonly DescFile[] = [
  file_analysis,
  file_backup,
  file_blob,
  file_cleanup,
  file_cluster,
  file_commit,
  file_conflicts,
  file_diff,
  file_errors,
  file_hook,
  file_internal,
  file_lint,
  file_log,
  file_namespace,
  file_objectpool,
  file_operations,
  file_packfile,
  file_partition,
  file_praefect,
  file_ref,
  file_remote,
  file_repository_service,
  file_repository,
  file_server,
  file_service_config,
  file_shared,
  file_smarthttp,
  file_ssh,
  file_transaction,
  file_versions,
  file_wiki,
];

/**
 * All files on the wire: `gitalyFiles`, our own services, health, both versions of reflection and
 * the rich status. Well-known types are their dependencies. `gitalyts.votes.v1` is only spoken
 * between our servers, and clients need not have it.
 */
export const wireFiles: readonly DescFile[] = [
  ...gitalyFiles,
  file_gitalyts_archives_v1_archives,
  file_gitalyts_backups_v1_backups,
  file_gitalyts_events_v1_events,
  file_gitalyts_lifetimes_v1_lifetimes,
  file_gitalyts_settings_v1_settings,
  file_google_rpc_status,
  file_grpc_health_v1_health,
  file_grpc_reflection_v1_reflection,
  file_grpc_reflection_v1alpha_reflection,
];
