import { messageOf } from '#base/gitaly-error';
import { gitalyServers } from '#client/index';
import type { Logger } from '#platform/log/logger';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import type { MemoryStore } from '../store/memory-store.ts';
import type { DequeuedJob } from './job.ts';
import type { MemoryQueue } from './memory-queue.ts';

const IDLE_MS = 1000;

export interface ReplicatorParts {
  readonly queue: MemoryQueue;
  readonly store: MemoryStore;
  /** Nodes by virtual storage. */
  readonly nodes: ReadonlyMap<string, readonly GitalyNode[]>;
  readonly isHealthy: (node: GitalyNode) => boolean;
  readonly batchSize: number;
  readonly logger: Logger;
}

/** Brings replicas up to date: works on the jobs of the queue, one target after the other. */
export class Replicator implements AsyncDisposable {
  readonly #parts: ReplicatorParts;
  readonly #timer: NodeJS.Timeout;
  #round: Promise<void> | undefined;
  #isStopped = false;

  constructor(parts: ReplicatorParts) {
    this.#parts = parts;
    this.#timer = setInterval(() => this.#start(), IDLE_MS).unref();
  }

  /** Stops after the job that runs. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    await this.#round;
  }

  #start(): void {
    this.#round ??= this.#work().finally(() => {
      this.#round = undefined;
    });
  }

  async #work(): Promise<void> {
    const { batchSize, isHealthy, nodes, queue } = this.#parts;
    for (const target of [...nodes.values()].flat()) {
      if (!isHealthy(target)) continue;
      for (const job of queue.dequeue(target.config.virtualStorage, target.storage, batchSize)) {
        const isDone = !this.#isStopped && (await this.#tried(job, target));
        queue.acknowledge(job.id, isDone ? 'completed' : 'failed');
      }
    }
  }

  async #tried(job: DequeuedJob, target: GitalyNode): Promise<boolean> {
    const { logger } = this.#parts;
    const fields = {
      virtual_storage: job.virtualStorage,
      relative_path: job.relativePath,
      replication_job_source: job.source,
      replication_job_target: job.target,
      correlation_id: job.correlationId,
    };
    try {
      await (job.change === 'delete' ? this.#remove(job, target) : this.#copy(job, target));
      return true;
    } catch (error) {
      logger.error({ ...fields, error: messageOf(error) }, 'replication job failed');
      return false;
    }
  }

  async #copy(job: DequeuedJob, target: GitalyNode): Promise<void> {
    const { nodes, store } = this.#parts;
    const { correlationId, relativePath, source: sourceName, virtualStorage } = job;
    const source = nodes.get(virtualStorage)?.find(({ storage }) => storage === sourceName);
    if (source === undefined) throw new Error(`no node for source storage ${JSON.stringify(sourceName)}`);
    // Read before the copy, which may contain more than this.
    const generation = store.generation(virtualStorage, relativePath, sourceName);
    if (generation >= 0 && store.generation(virtualStorage, relativePath, target.storage) >= generation)
      return;
    const { address, token } = source.config;
    await target.connection.repository.replicateRepository(
      {
        repository: { storageName: target.storage, relativePath },
        source: { storageName: sourceName, relativePath },
      },
      {
        correlationId,
        metadata: gitalyServers({ [sourceName]: { address, ...(token === undefined ? {} : { token }) } }),
      },
    );
    store.recordReplication(virtualStorage, relativePath, { storage: target.storage, generation });
  }

  async #remove({ correlationId, relativePath }: DequeuedJob, target: GitalyNode): Promise<void> {
    const repository = { storageName: target.storage, relativePath };
    await target.connection.repository.removeRepository({ repository }, { correlationId });
  }
}
