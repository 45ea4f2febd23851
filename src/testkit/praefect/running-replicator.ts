import type { JobEnd, ReplicationJob, ReplicationQueue } from '#praefect/model/job';
import type { GitalyNode } from '#praefect/nodes/gitaly-node';
import { MemoryQueue } from '#praefect/replication/memory-queue';
import { Replicator, type ReplicatorOptions } from '#praefect/replication/replicator';
import { WritePauses } from '#praefect/replication/write-pauses';
import { MemoryStore } from '#praefect/store/memory-store';
import type { ReplicaStore } from '#praefect/store/replica-store';
import { lineLogger } from '../line-logger.ts';
import { standIn } from '../stand-in.ts';

export const job: ReplicationJob = {
  ...{ change: 'update', repositoryId: 1, virtualStorage: 'default', relativePath: 'x.git' },
  ...{ replicaPath: 'replica/x.git', source: 'a', target: 'b', correlationId: 'id' },
};

type NodeOptions = Omit<CopyNodeOptions, 'calls'>;

interface Options extends Partial<Pick<ReplicatorOptions, 'batchSize' | 'isHealthy' | 'workers'>> {
  readonly queue?: ReplicationQueue;
  readonly store?: ReplicaStore;
  readonly source?: NodeOptions;
  readonly target?: NodeOptions;
}

/** A replicator of the storages `a` and `b`, and what it has done. */
export async function startReplicator(
  jobs: readonly ReplicationJob[],
  {
    batchSize = 10,
    isHealthy = () => true,
    queue,
    source = {},
    store,
    target = {},
    workers = 1,
  }: Options = {},
) {
  const calls: CopyCall[] = [];
  const observed: [id: number, end: JobEnd][] = [];
  const { lines, logger } = lineLogger();
  const memory = new MemoryQueue();
  for (const each of jobs) await memory.enqueue(each);
  const nodes = [copyNode('a', { ...source, calls }), copyNode('b', { ...target, calls })];
  const replicator = new Replicator({
    queue: queue ?? memory,
    store: store ?? new MemoryStore(),
    pauses: new WritePauses(),
    nodes: new Map([['default', nodes]]),
    ...{ batchSize, isHealthy, workers, logger },
    observer: {
      started:
        ({ id }) =>
        (end) =>
          observed.push([id, end]),
    },
  });
  return {
    ...{ calls, lines, observed },
    wake: (name: string) => replicator.wake('default', name),
    [Symbol.asyncDispose]: () => replicator[Symbol.asyncDispose](),
  };
}

/** A queue that records the targets of its batches. */
export function triedTargets() {
  const queue = new MemoryQueue();
  const dequeue = queue.dequeue.bind(queue);
  const tried: string[] = [];
  queue.dequeue = (virtualStorage, target, count) => {
    tried.push(target);
    return dequeue(virtualStorage, target, count);
  };
  return { queue, tried };
}

/** A call that a copy makes: the node, the method, the request and the options. */
export type CopyCall = readonly [storage: string, method: string, request: unknown, options: unknown];

export interface CopyNodeOptions {
  readonly calls?: CopyCall[];
  readonly token?: string | undefined;
  /** Path of the pool of its repository. */
  readonly pool?: string | undefined;
  /** Result of its health checks; default true. */
  readonly isServing?: boolean;
  /** Functions that run in place of methods, by the methods' names. */
  readonly on?: Readonly<Record<string, () => Promise<void>>>;
}

/** A node for tests that copies nothing, and records its calls. */
export function copyNode(
  storage: string,
  { calls = [], isServing = true, on = {}, pool, token }: CopyNodeOptions = {},
) {
  const method =
    (name: string, response: object = {}) =>
    async (request: unknown, options: unknown): Promise<object> => {
      calls.push([storage, name, request, options]);
      await on[name]?.();
      return response;
    };
  return standIn<GitalyNode>({
    storage,
    config: { virtualStorage: 'default', storage, address: `tcp://${storage}:8075`, token },
    isServing: async () => isServing,
    connection: {
      repository: {
        replicateRepository: method('replicateRepository'),
        removeRepository: method('removeRepository'),
      },
      objectPool: {
        getObjectPool: method(
          'getObjectPool',
          pool === undefined ? {} : { objectPool: { repository: { relativePath: pool } } },
        ),
        disconnectGitAlternates: method('disconnectGitAlternates'),
        linkRepositoryToObjectPool: method('linkRepositoryToObjectPool'),
      },
    },
  });
}
