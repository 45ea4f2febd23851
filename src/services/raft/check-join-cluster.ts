import { GitalyError } from '#base/gitaly-error';
import type { JoinClusterRequest } from '#wire/gen/cluster_pb';

/** Checks the fields of JoinCluster in Gitaly's order. @throws {GitalyError} INVALID_ARGUMENT */
export function checkJoinCluster(request: JoinClusterRequest): void {
  const missing =
    (request.partitionKey === undefined && 'partition_key') ||
    (request.memberId === 0n && 'member_id') ||
    (request.storageName === '' && 'storage_name') ||
    (request.replicas.length === 0 && 'replica') ||
    (request.leaderId === 0n && 'leader_id');
  if (missing === false) return;
  throw new GitalyError('INVALID_ARGUMENT', `invalid join cluster request: ${missing} is required`);
}
