import type { Logger } from '#platform/log/logger';
import type { ReplicationJob } from '../model/job.ts';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import type { ReplicaStore } from '../store/replica-store.ts';
import { copyRepository } from './copy-repository.ts';
import { PAUSE_LIMIT_MS, type WritePauses } from './write-pauses.ts';

/**
 * Number of copies in a row that may be outdated by writes. After that, another job makes the next.
 */
const MAX_COPIES = 4;
/** Number of copies after which a pause is requested: most repositories are idle at times. */
const COPIES_BEFORE_PAUSE = 2;
/** Longest time of a copy that certainly fits into a pause. */
const MAX_PAUSED_COPY_MS = PAUSE_LIMIT_MS / 2;

export interface CatchUpOptions {
  readonly store: ReplicaStore;
  readonly pauses: WritePauses;
  readonly source: GitalyNode;
  readonly target: GitalyNode;
  /** Logs with the fields of the job. */
  readonly logger: Logger;
  /** Ends the work after the copy that runs. */
  readonly isStopped: () => boolean;
}

/** `behind`: writes were made between the start and the end of the copy. */
type CopyEnd = 'done' | 'behind';

/**
 * Copies the source of a job to its target until the target has what the source has. Each copy is
 * smaller than the one before. If writes outdate two of them, the writes are paused for the next.
 */
export async function catchUp(options: CatchUpOptions, job: ReplicationJob): Promise<void> {
  for (let count = 1; count <= MAX_COPIES && !options.isStopped(); count++) {
    const startedAtMs = performance.now();
    if ((await copy(options, job)) === 'done') return;
    const tookMs = performance.now() - startedAtMs;
    if (count < COPIES_BEFORE_PAUSE || tookMs > MAX_PAUSED_COPY_MS) continue;
    await copyInPause(options, job);
    return;
  }
}

/** Copies once more, and again for writes that were already running. */
async function copyInPause(options: CatchUpOptions, job: ReplicationJob): Promise<void> {
  const startedAtMs = performance.now();
  await using pause = await options.pauses.pause(job);
  let end: CopyEnd = 'behind';
  try {
    while (end === 'behind' && !pause.signal.aborted) end = await copy(options, job, pause.signal);
  } catch (error) {
    // Too late: the write in between has queued another job.
    if (!pause.signal.aborted) throw error;
  }
  const pauseMs = Math.round(performance.now() - startedAtMs);
  options.logger.info({ pause_ms: pauseMs, is_current: end === 'done' }, 'writes were paused for a copy');
}

async function copy(
  { logger, source, store, target }: CatchUpOptions,
  job: ReplicationJob,
  signal?: AbortSignal,
): Promise<CopyEnd> {
  // Read before the copy, which may contain more than this.
  const plan = await store.planCopy(job);
  if (plan === undefined) {
    logger.info({}, 'repository was removed, skipping replication job');
    return 'done';
  }
  if (plan.target >= 0 && plan.target >= plan.source) {
    logger.info(
      {},
      plan.target === plan.source
        ? 'target repository already on the same generation, skipping replication job'
        : 'repository downgrade prevented',
    );
    return 'done';
  }
  const outcome = await copyRepository(job, { source, target, replicaPath: plan.replicaPath, signal });
  if (outcome === 'invalid-source') {
    await store.removeInvalidSource(job);
    logger.info({}, 'invalid repository record removed');
    return 'done';
  }
  if (plan.source < 0) return 'done';
  await store.recordCopy(job, plan.source);
  const after = await store.planCopy(job);
  if (after !== undefined && after.target > plan.source)
    logger.warn({}, 'target became the authoritative replica during a copy, and has what the source had');
  return after !== undefined && after.source > after.target ? 'behind' : 'done';
}
