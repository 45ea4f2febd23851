import type { JobEnd, ReplicationJob, ReplicationQueue } from '#praefect/model/job';
import { MemoryQueue } from '#praefect/replication/memory-queue';
import { Replicator, type ReplicatorOptions } from '#praefect/replication/replicator';
import { WritePauses } from '#praefect/replication/write-pauses';
import { MemoryStore } from '#praefect/store/memory-store';
import type { ReplicaStore } from '#praefect/store/replica-store';
import { lineLogger } from '../line-logger.ts';
import { type CopyCall, type CopyNodeOptions, copyNode } from './copy-nodes.ts';

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
