import { limitedSignal } from '#base/async/limited-signal';
import { messageOf } from '#base/gitaly-error';
import { CallError } from '#client/index';
import type { Logger } from '#platform/log/logger';
import type { ReplicationQueue } from '../model/job.ts';
import type { RepositoryKey } from '../model/repository-key.ts';
import type { GitalyNode, ObservedNodes } from '../nodes/gitaly-node.ts';
import type { ReplicaMarks } from '../store/replica-marks.ts';
import type { ReplicaStore } from '../store/replica-store.ts';
import type { RepositoryMetadata } from '../store/repository-metadata.ts';

/** Time limit of the requests to the nodes. */
const ASK_MS = 5000;
/**
 * Time after a loss in which another loss does not make all replicas of the node be verified again.
 */
const VERIFY_AGAIN_MS = 60 * 60_000;
/** Messages with which a Gitaly reports that a path has no repository, or an incomplete one. */
const IS_MISSING = /repository (?:not found|not valid|does not exist)/;

/** A call that a node has ended with an error. */
export interface FailedCall {
  readonly node: GitalyNode;
  readonly repository: RepositoryKey;
  readonly error: unknown;
  readonly correlationId: string;
}

/**
 * Reports whether the node has lost its replica while other nodes have theirs, so that the call can
 * be repeated. Sends requests only if the error is that of a missing repository. Never rejects.
 */
export type FindLost = (call: FailedCall) => Promise<boolean>;

export interface LostReplicasOptions extends ObservedNodes {
  readonly metadataOf: (repository: RepositoryKey) => Promise<RepositoryMetadata | undefined>;
  readonly store: Pick<ReplicaStore, 'removeReplica'>;
  readonly queue: Pick<ReplicationQueue, 'enqueue'>;
  readonly marks: Pick<ReplicaMarks, 'markUnverified'>;
  readonly onChanged: (repository: RepositoryKey) => Promise<void>;
  readonly counted: (virtualStorage: string, storage: string) => void;
  readonly logger: Logger;
}

/**
 * Returns the function that finds replicas which are in the database but no longer on their node,
 * for example after the loss of its disk. It removes the record of such a replica and queues a
 * copy; all other replicas of the node are verified again. If there is no other replica, nothing is
 * removed, but the replicas of the repository are verified again.
 */
export function lostReplicas(options: LostReplicasOptions): FindLost {
  const running = new Map<string, Promise<boolean>>();
  const nodesFoundMs = new Map<GitalyNode, number>();
  return async (call) => {
    if (!isMissing(call.error)) return false;
    const key = [call.node.storage, call.repository.virtualStorage, call.repository.relativePath].join('\0');
    const found = running.get(key) ?? findLost(options, call, nodesFoundMs);
    running.set(key, found);
    try {
      return await found;
    } catch (error) {
      options.logger.error(
        { ...fieldsOf(call), error: messageOf(error) },
        'checking a missing replica failed',
      );
      return false;
    } finally {
      running.delete(key);
    }
  };
}

async function findLost(
  options: LostReplicasOptions,
  call: FailedCall,
  nodesFoundMs: Map<GitalyNode, number>,
): Promise<boolean> {
  const { counted, isHealthy, logger, marks, metadataOf, nodes, onChanged, queue, store } = options;
  const { correlationId, node, repository } = call;
  const { virtualStorage } = repository;
  const { storage } = node;
  const metadata = await metadataOf(repository);
  if (metadata === undefined) return false;
  const { generation, replicaPath, repositoryId } = metadata;
  const upToDate = metadata.replicas.filter((each) => each.generation === generation);
  // Another call, or the verification, has found it.
  if (!upToDate.some((each) => each.storage === storage)) return true;
  using limited = limitedSignal(ASK_MS);
  const has = async ({ connection, storage: storageName }: GitalyNode): Promise<boolean> => {
    const asked = { repository: { storageName, relativePath: replicaPath } };
    return (await connection.repository.repositoryExists(asked, { signal: limited.signal })).exists;
  };
  if (await has(node)) return false;
  const others = (nodes.get(virtualStorage) ?? []).filter(
    (each) =>
      each !== node && isHealthy(each) && upToDate.some((replica) => replica.storage === each.storage),
  );
  const holders = await Promise.all(others.map((each) => has(each).catch(() => false)));
  const source = others.find((_, index) => holders[index])?.storage;
  if (source === undefined) {
    await marks.markUnverified({ repositoryId });
    return false;
  }
  logger.warn({ ...fieldsOf(call), source }, 'a node has lost its replica: a copy is queued');
  counted(virtualStorage, storage);
  const job = { change: 'update', repositoryId, ...repository, replicaPath, source } as const;
  await store.removeReplica({ ...job, target: storage, correlationId });
  await onChanged(repository);
  await queue.enqueue({ ...job, target: storage, correlationId });
  const nowMs = performance.now();
  if (nowMs - (nodesFoundMs.get(node) ?? Number.NEGATIVE_INFINITY) < VERIFY_AGAIN_MS) return true;
  nodesFoundMs.set(node, nowMs);
  await marks.markUnverified({ virtualStorage, storage });
  return true;
}

function isMissing(error: unknown): boolean {
  return (
    error instanceof CallError &&
    (error.code === 'NOT_FOUND' || error.code === 'FAILED_PRECONDITION') &&
    IS_MISSING.test(error.message)
  );
}

function fieldsOf({ correlationId, node, repository }: FailedCall) {
  return {
    virtual_storage: repository.virtualStorage,
    relative_path: repository.relativePath,
    storage: node.storage,
    correlation_id: correlationId,
  };
}
