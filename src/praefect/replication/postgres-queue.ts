import { messageOf } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import { type Database, sql } from '../database/database.ts';
import type { DequeuedJob, JobEnd, ReplicationJob, ReplicationQueue } from '../model/job.ts';

const KEEP_INTERVAL_MS = 5000;
/** Limit of the lock rows that one clean-up removes. */
const MAX_REMOVED_LOCKS = 1000;

/** A job in the form of Gitaly's. */
interface JobRow {
  readonly id: number;
  readonly attempt: number;
  readonly job: {
    readonly repository_id?: number | null;
    readonly change: ReplicationJob['change'];
    readonly virtual_storage: string;
    readonly relative_path: string;
    readonly replica_path?: string | null;
    readonly source_node_storage?: string | null;
    readonly target_node_storage: string;
  };
  readonly meta: { readonly correlation_id?: string } | null;
  /** Milliseconds of the epoch. The column has no time zone: it is UTC. */
  readonly created_at_ms: number;
}

const UTC_NOW = sql`(now() AT TIME ZONE 'UTC')`;

/**
 * Replication jobs in PostgreSQL, shared with other Praefects. A row of `replication_queue_lock`
 * for each repository and target is held while its jobs run. `replication_queue_job_lock` shows
 * which jobs run, and when each was last reported to be running.
 */
export class PostgresQueue implements ReplicationQueue {
  readonly #database: Database;
  readonly #logger: Logger;

  constructor(database: Database, logger: Logger) {
    this.#database = database;
    this.#logger = logger;
  }

  async enqueue(job: ReplicationJob): Promise<boolean> {
    const { change, relativePath, target, virtualStorage } = job;
    const lock = [virtualStorage, target, relativePath].join('|');
    const content = JSON.stringify({
      repository_id: job.repositoryId,
      replica_path: job.replicaPath,
      change,
      relative_path: relativePath,
      target_node_storage: target,
      source_node_storage: job.source,
      virtual_storage: virtualStorage,
      params: null,
    });
    // Updates an existing lock row, so that no clean-up removes it meanwhile. A job that ends with
    // one that runs does nothing for a later change. The index has the parts of the lock.
    const added = await this.#database.rows(sql`
      WITH lock AS (
        INSERT INTO replication_queue_lock (id) VALUES (${lock})
        ON CONFLICT (id) DO UPDATE SET id = excluded.id
        RETURNING id
      )
      INSERT INTO replication_queue (lock_id, job, meta)
      SELECT id, ${content}::jsonb, ${JSON.stringify({ correlation_id: job.correlationId })}::jsonb
      FROM lock
      WHERE NOT EXISTS (
        SELECT FROM replication_queue AS waiting
        WHERE state = 'ready' AND job->>'virtual_storage' = ${virtualStorage}
          AND job->>'relative_path' = ${relativePath} AND job->>'target_node_storage' = ${target}
          AND job->>'change' = ${change} AND job->>'source_node_storage' = ${job.source}
          AND NOT EXISTS (
            SELECT FROM replication_queue AS running
            WHERE state = 'in_progress' AND lock_id = waiting.lock_id
              AND updated_at > waiting.created_at AND job->>'virtual_storage' = ${virtualStorage}
              AND job->>'relative_path' = ${relativePath} AND job->>'target_node_storage' = ${target}
              AND job->>'change' = ${change} AND job->>'source_node_storage' = ${job.source}
          )
      )
      RETURNING id`);
    return added.length > 0;
  }

  async dequeue(virtualStorage: string, target: string, count: number): Promise<readonly DequeuedJob[]> {
    const rows = await this.#database.rows(sql<JobRow>`
      WITH free AS (
        SELECT queue.id, queue.lock_id, queue.created_at, queue.job->>'change' AS change
        FROM replication_queue AS queue
        JOIN replication_queue_lock AS lock ON lock.id = queue.lock_id
        WHERE queue.state IN ('ready', 'failed') AND NOT lock.acquired
          AND queue.job->>'virtual_storage' = ${virtualStorage}
          AND queue.job->>'target_node_storage' = ${target}
          AND NOT EXISTS (SELECT FROM replication_queue_job_lock WHERE lock_id = queue.lock_id)
        FOR UPDATE OF queue, lock SKIP LOCKED
      ), oldest AS (
        SELECT DISTINCT ON (lock_id, change) id, lock_id, created_at, change
        FROM free ORDER BY lock_id, change, created_at, id
      ), ordered AS (
        -- No join: without statistics, PostgreSQL compares all jobs with all removals.
        SELECT id, lock_id, created_at, bool_or(change = 'delete') OVER (
          PARTITION BY lock_id ORDER BY created_at, id
          ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS follows_removal
        FROM oldest
      ), taken AS (
        -- A removal that fails must not come after the copy of a new repository at the path.
        SELECT id, lock_id FROM ordered WHERE follows_removal IS NOT TRUE
        ORDER BY created_at, id LIMIT ${count}
      ), tracked AS (
        INSERT INTO replication_queue_job_lock (job_id, lock_id) SELECT id, lock_id FROM taken
      ), held AS (
        UPDATE replication_queue_lock SET acquired = true WHERE id IN (SELECT lock_id FROM taken)
      ), started AS (
        UPDATE replication_queue AS queue
        SET state = 'in_progress', updated_at = ${UTC_NOW},
          attempt = attempt - CASE job->>'change' WHEN 'delete_replica' THEN 0 ELSE 1 END
        FROM taken WHERE queue.id = taken.id
        RETURNING queue.id, attempt, job, meta,
          extract(epoch FROM queue.created_at)::float8 * 1000 AS created_at_ms
      )
      SELECT * FROM started ORDER BY id`);
    return rows.map(jobOf);
  }

  async acknowledge(id: number, end: JobEnd): Promise<void> {
    // A completed job has done the work of equal ones that came before it was taken.
    await this.#database.run(sql`
      WITH ended AS (
        SELECT id, lock_id, updated_at, job FROM replication_queue
        WHERE id = ${id} AND state = 'in_progress'
        FOR UPDATE
      ), removed AS (
        DELETE FROM replication_queue AS queue USING ended
        WHERE ${end} <> 'failed' AND queue.id = ended.id
      ), done AS (
        DELETE FROM replication_queue AS queue USING ended
        WHERE ${end} = 'completed' AND queue.state = 'ready' AND queue.lock_id = ended.lock_id
          AND queue.created_at < ended.updated_at
          AND queue.job->>'virtual_storage' = ended.job->>'virtual_storage'
          AND queue.job->>'relative_path' = ended.job->>'relative_path'
          AND queue.job->>'target_node_storage' = ended.job->>'target_node_storage'
          AND queue.job->>'change' = ended.job->>'change'
          AND coalesce(queue.job->>'source_node_storage', '')
            = coalesce(ended.job->>'source_node_storage', '')
      ), failed AS (
        UPDATE replication_queue AS queue SET state = 'failed', updated_at = ${UTC_NOW}
        FROM ended WHERE ${end} = 'failed' AND queue.id = ended.id
      ), untracked AS (
        DELETE FROM replication_queue_job_lock AS tracked USING ended WHERE tracked.job_id = ended.id
        RETURNING tracked.job_id, tracked.lock_id
      )
      UPDATE replication_queue_lock AS lock SET acquired = false
      WHERE id IN (SELECT lock_id FROM untracked)
        AND NOT EXISTS (
          SELECT FROM replication_queue_job_lock AS tracked
          WHERE tracked.lock_id = lock.id AND tracked.job_id NOT IN (SELECT job_id FROM untracked)
        )`);
  }

  keep(jobs: readonly DequeuedJob[]): AsyncDisposable {
    const ids = jobs.map(({ id }) => id);
    let touching: Promise<void> | undefined;
    const touch = async (): Promise<void> => {
      try {
        await this.#database.run(sql`
          UPDATE replication_queue_job_lock SET triggered_at = ${UTC_NOW}
          WHERE job_id = ANY (${ids}::bigint[])`);
      } catch (error) {
        this.#logger.error({ error: messageOf(error) }, 'replication event processing health update failed');
      }
    };
    const timer = setInterval(() => {
      touching ??= touch().finally(() => {
        touching = undefined;
      });
    }, KEEP_INTERVAL_MS).unref();
    return {
      [Symbol.asyncDispose]: async () => {
        clearInterval(timer);
        await touching;
      },
    };
  }

  /**
   * Takes back jobs of Praefects that are gone: those that were not kept for a time. Also frees the
   * locks that no job holds and for which jobs wait.
   *
   * @returns the number of freed locks.
   */
  async acknowledgeStale(afterMs: number): Promise<number> {
    return (await this.#takeBack(afterMs)) + (await this.#freeLocks());
  }

  async #takeBack(afterMs: number): Promise<number> {
    return await this.#database.run(sql`
      WITH stale AS (
        DELETE FROM replication_queue_job_lock
        WHERE triggered_at < ${UTC_NOW} - ${afterMs} * interval '1 millisecond'
        RETURNING job_id, lock_id
      ), failed AS (
        UPDATE replication_queue SET state = 'failed'
        WHERE id IN (SELECT job_id FROM stale) AND attempt >= 1
      ), dead AS (
        DELETE FROM replication_queue WHERE id IN (SELECT job_id FROM stale) AND attempt < 1
      )
      UPDATE replication_queue_lock AS lock SET acquired = false
      WHERE id IN (SELECT lock_id FROM stale)
        AND NOT EXISTS (
          SELECT FROM replication_queue_job_lock AS tracked
          WHERE tracked.lock_id = lock.id AND tracked.job_id NOT IN (SELECT job_id FROM stale)
        )`);
  }

  /**
   * Frees locks whose last two jobs have ended at the same moment, such as one that another
   * Praefect has taken back: each end saw the other job as running. A row that is just being taken
   * is not freed, because this statement does not see it as acquired.
   */
  async #freeLocks(): Promise<number> {
    return await this.#database.run(sql`
      UPDATE replication_queue_lock AS lock SET acquired = false
      WHERE acquired
        AND id IN (SELECT lock_id FROM replication_queue WHERE state IN ('ready', 'failed'))
        AND NOT EXISTS (SELECT FROM replication_queue_job_lock WHERE lock_id = lock.id)`);
  }

  /** Removes lock rows that no job refers to, at most 1000. Returns their number. */
  async removeUnusedLocks(): Promise<number> {
    return await this.#database.run(sql`
      DELETE FROM replication_queue_lock WHERE id IN (
        SELECT id FROM replication_queue_lock AS lock
        WHERE NOT acquired
          AND NOT EXISTS (SELECT FROM replication_queue WHERE lock_id = lock.id)
          AND NOT EXISTS (SELECT FROM replication_queue_job_lock WHERE lock_id = lock.id)
        LIMIT ${MAX_REMOVED_LOCKS}
        FOR UPDATE SKIP LOCKED
      )`);
  }
}

function jobOf({ attempt, created_at_ms: createdAtMs, id, job, meta }: JobRow): DequeuedJob {
  return {
    id,
    attemptsLeft: attempt,
    createdAt: new Date(createdAtMs),
    change: job.change,
    repositoryId: job.repository_id ?? 0,
    virtualStorage: job.virtual_storage,
    relativePath: job.relative_path,
    replicaPath: job.replica_path ?? '',
    source: job.source_node_storage ?? '',
    target: job.target_node_storage,
    correlationId: meta?.correlation_id ?? '',
  };
}
