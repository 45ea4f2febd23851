import { GitalyError, invalidArgument } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { type ServedService, serve } from '#rpc/server/handler';
import { type JoinClusterRequest, type RaftMessageRequest, RaftService } from '#wire/gen/cluster_pb';

/**
 * Responds as a Gitaly 19.0 whose Raft is switched off: it checks the request, then refuses it.
 * This server does not replicate by Raft.
 */
export function raftService(): ServedService {
  return serve(RaftService, {
    // biome-ignore lint/correctness/useYield: the stream has no message
    getPartitions: async function* () {
      throw notRaft();
    },
    getClusterInfo: () => {
      throw notRaft();
    },
    joinCluster: (request) => {
      checkJoinCluster(request);
      throw new GitalyError('INTERNAL', 'storage is not Raft-enabled');
    },
    sendMessage: async (requests) => {
      for await (const request of requests) refuseCluster(request);
      return {};
    },
    sendSnapshot: async (requests) => {
      for await (const { raftSnapshotPayload: payload } of requests) {
        refuseCluster(payload.case === 'raftMsg' ? payload.value : undefined);
      }
      throw new GitalyError('INTERNAL', 'receive error: EOF');
    },
  });
}

/**
 * Refuses a message between members: this node belongs to no cluster.
 *
 * @throws {GitalyError} INVALID_ARGUMENT without a cluster id, otherwise PERMISSION_DENIED.
 */
function refuseCluster(request: RaftMessageRequest | undefined): never {
  const clusterId = request?.clusterId ?? '';
  if (clusterId === '') throw invalidArgument('cluster_id is required');
  throw new GitalyError(
    'PERMISSION_DENIED',
    `message from wrong cluster: got ${quote(clusterId)}, want ${quote('')}`,
  );
}

function notRaft(): GitalyError {
  return new GitalyError('INTERNAL', 'node is not Raft-enabled');
}

/** Checks the fields of JoinCluster in Gitaly's order. @throws {GitalyError} INVALID_ARGUMENT */
function checkJoinCluster(request: JoinClusterRequest): void {
  const missing =
    (request.partitionKey === undefined && 'partition_key') ||
    (request.memberId === 0n && 'member_id') ||
    (request.storageName === '' && 'storage_name') ||
    (request.replicas.length === 0 && 'replica') ||
    (request.leaderId === 0n && 'leader_id');
  if (missing === false) return;
  throw invalidArgument(`invalid join cluster request: ${missing} is required`);
}
