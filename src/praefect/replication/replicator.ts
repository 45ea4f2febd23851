import { setTimeout as delay } from 'node:timers/promises';
import { GitalyError, messageOf } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import type { Logger } from '#platform/log/logger';
import { type DequeuedJob, endOfFailed, type JobEnd, type ReplicationQueue } from '../model/job.ts';
import type { GitalyNode, ObservedNodes } from '../nodes/gitaly-node.ts';
import type { ReplicaStore } from '../store/replica-store.ts';
import { catchUp } from './catch-up.ts';
import { TargetRing } from './target-ring.ts';
import type { WritePauses } from './write-pauses.ts';

/** Time limit for recording an end: shorter than the minute after which others take the job. */
const ACKNOWLEDGE_LIMIT_MS = 30_000;
const ACKNOWLEDGE_PAUSE_MS = 1000;
/** Limit of the check of a target whose job has failed. */
const CHECK_TIMEOUT_MS = 1000;
const FINISHED = 'replication job processing finished';

/** Notified of each replication job. */
export interface ReplicationObserver {
  /** Called when a job begins. Returns the function to be called at its end. */
  started(job: DequeuedJob): (end: JobEnd) => void;
}

export interface ReplicatorOptions extends ObservedNodes {
  readonly queue: ReplicationQueue;
  readonly store: ReplicaStore;
  readonly pauses: WritePauses;
  readonly batchSize: number;
  /** Number of nodes of a virtual storage that are worked on at the same time. */
  readonly workers: number;
  readonly observer: ReplicationObserver;
  readonly logger: Logger;
}

/** Brings replicas up to date: works on the jobs of the queue, one after the other for a target. */
export class Replicator implements AsyncDisposable {
  readonly #options: ReplicatorOptions;
  readonly #rings: ReadonlyMap<string, TargetRing<GitalyNode>>;
  readonly #running: Promise<unknown>;
  #isStopped = false;

  constructor(options: ReplicatorOptions) {
    this.#options = options;
    this.#rings = new Map([...options.nodes].map(([name, nodes]) => [name, new TargetRing(nodes)]));
    const workers = [...this.#rings.values()].flatMap((ring) =>
      Array.from({ length: Math.min(options.workers, ring.size) }, () =>
        ring.run((target) => this.#work(target)),
      ),
    );
    this.#running = Promise.all(workers);
  }

  /** Searches for jobs of a target now. */
  wake(virtualStorage: string, target: string): void {
    this.#rings.get(virtualStorage)?.wake(({ storage }) => storage === target);
  }

  /** Stops after the jobs that run. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    for (const ring of this.#rings.values()) ring.close();
    await this.#running;
  }

  /** Works on one batch. Returns whether a job has ended: those that failed wait. */
  async #work(target: GitalyNode): Promise<boolean> {
    const { batchSize, isHealthy, logger, queue } = this.#options;
    if (!isHealthy(target)) return false;
    const { virtualStorage } = target.config;
    try {
      const jobs = await queue.dequeue(virtualStorage, target.storage, batchSize);
      await using _kept = queue.keep(jobs);
      let hasEnded = false;
      for (const job of jobs) {
        const end = this.#isStopped ? 'failed' : await this.#run(job, target);
        await this.#acknowledge(job, end);
        hasEnded ||= end !== 'failed';
      }
      return hasEnded;
    } catch (error) {
      logger.error(
        { virtual_storage: virtualStorage, replication_job_target: target.storage, error: messageOf(error) },
        'failed to process replication jobs',
      );
      return false;
    }
  }

  /**
   * Repeats the record of an end while the database is away, so that the job does not wait until it
   * is stale.
   */
  async #acknowledge({ id }: DequeuedJob, end: JobEnd): Promise<void> {
    const limit = performance.now() + ACKNOWLEDGE_LIMIT_MS;
    for (;;) {
      try {
        await this.#options.queue.acknowledge(id, end);
        return;
      } catch (error) {
        if (this.#isStopped || performance.now() > limit) throw error;
        await delay(ACKNOWLEDGE_PAUSE_MS);
      }
    }
  }

  async #run(job: DequeuedJob, target: GitalyNode): Promise<JobEnd> {
    const { logger } = this.#options;
    const fields = {
      virtual_storage: job.virtualStorage,
      relative_path: job.relativePath,
      replication_job_source: job.source,
      replication_job_target: job.target,
      correlation_id: job.correlationId,
    };
    const ended = this.#options.observer.started(job);
    logger.info({ ...fields, event: job }, 'replication job processing started');
    try {
      await this.#perform(job, target, fields);
      logger.info({ ...fields, new_state: 'completed' }, FINISHED);
      ended('completed');
      return 'completed';
    } catch (error) {
      const end = endOfFailed(job, await target.isServing(CHECK_TIMEOUT_MS, () => {}));
      logger.error({ ...fields, new_state: end, error: messageOf(error) }, FINISHED);
      ended(end);
      return end;
    }
  }

  async #perform(job: DequeuedJob, target: GitalyNode, fields: Record<string, string>): Promise<void> {
    switch (job.change) {
      case 'update':
        await this.#copy(job, target, fields);
        return;
      case 'delete':
      case 'delete_replica':
        await this.#remove(job, target, fields);
        return;
      default:
        // An older Praefect with the same database has queued it.
        throw new Error(`unknown replication change type encountered: ${quote(job.change)}`);
    }
  }

  async #copy(job: DequeuedJob, target: GitalyNode, fields: Record<string, string>): Promise<void> {
    const { logger, nodes, pauses, store } = this.#options;
    const source = nodes.get(job.virtualStorage)?.find(({ storage }) => storage === job.source);
    if (source === undefined) throw new Error(`no node for source storage ${JSON.stringify(job.source)}`);
    const isStopped = (): boolean => this.#isStopped;
    await catchUp({ store, pauses, source, target, logger: logger.child(fields), isStopped }, job);
  }

  async #remove(job: DequeuedJob, target: GitalyNode, fields: Record<string, string>): Promise<void> {
    const { logger, store } = this.#options;
    const { change, correlationId, replicaPath } = job;
    // Jobs of the reconciler have no path. The replicas of a removed repository were removed, too.
    const path = replicaPath || (await store.planCopy(job))?.replicaPath;
    if (path === undefined) return;
    // Before the files: the replica may be needed again since the job was queued.
    if (!(await store.releaseReplica(job))) {
      logger.info(fields, 'replica is needed, skipping its removal');
      return;
    }
    const repository = { storageName: target.storage, relativePath: path };
    await target.connection.repository
      .removeRepository({ repository }, { correlationId })
      .catch((error) => ignoreMissing(error));
    if (change === 'delete' && !(await store.removeReplica(job)))
      logger.info(fields, 'replica had no record');
  }
}

/** Ignores that something to be removed is missing already. */
function ignoreMissing(error: unknown): void {
  if (!(error instanceof GitalyError) || error.code !== 'NOT_FOUND') throw error;
}
