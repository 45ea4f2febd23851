import { messageOf } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import { type Database, sql } from '../database/database.ts';
import type { ObservedNodes } from '../nodes/gitaly-node.ts';

/** Advisory lock of the statement, shared with Gitaly's Praefects. */
const LOCK = 1;
/** Jobs in one log line. */
const JOBS_PER_LINE = 25;
/** Nodes that a virtual storage needs, to copy from one to another. */
const MIN_HEALTHY = 2;

export interface ReconcilerOptions extends ObservedNodes {
  readonly database: Database;
  readonly logger: Logger;
  /** Receives the seconds that a search took. */
  readonly took: (seconds: number) => void;
}

/** A job as it is logged. Its row in the queue has other names. */
interface Job {
  readonly repository_id: number;
  readonly change: string;
  readonly correlation_id: string;
  readonly virtual_storage: string;
  readonly relative_path: string;
  readonly source_storage?: string;
  readonly target_storage: string;
}

/**
 * Queues copies to replicas that are missing or outdated, and removals of replicas that are not
 * assigned. Never rejects.
 */
export async function reconcile(options: ReconcilerOptions): Promise<void> {
  const { logger, took } = options;
  const start = performance.now();
  try {
    const jobs = await schedule(options);
    for (let first = 0; first < jobs.length; first += JOBS_PER_LINE)
      logger.info(
        { scheduled_jobs: jobs.slice(first, first + JOBS_PER_LINE) },
        'reconciliation jobs scheduled',
      );
    if (jobs.length === 0) logger.debug('reconciliation did not result in any scheduled jobs');
  } catch (error) {
    logger.error({ error: messageOf(error) }, 'automatic reconciliation failed');
  } finally {
    took((performance.now() - start) / 1000);
  }
}

async function schedule({ database, isHealthy, logger, nodes }: ReconcilerOptions): Promise<readonly Job[]> {
  const healthy: (readonly [virtualStorage: string, storage: string])[] = [];
  for (const [name, ofStorage] of nodes) {
    const up = ofStorage.filter(isHealthy);
    if (up.length >= MIN_HEALTHY) healthy.push(...up.map(({ storage }) => [name, storage] as const));
    else
      logger.info(
        { virtual_storage: name },
        'reconciliation skipped for virtual storage due to not having enough healthy storages',
      );
  }
  if (healthy.length === 0) return [];
  return await database.searchTransaction(async (executor) => {
    const lock = await sql<{ is_held: boolean }>`
      SELECT pg_try_advisory_xact_lock(${LOCK}) AS is_held`.execute(executor);
    if (lock.rows[0]?.is_held !== true) return [];
    // A separate statement, so that it sees the jobs of the previous holder of the lock.
    return (await searchStatement(healthy).execute(executor)).rows.map(({ job }) => job);
  });
}

/** Copies to replicas that are missing or outdated, one for each. */
const COPIES = sql`
  SELECT DISTINCT ON (repository.repository_id, target.storage)
    repository.repository_id, repository.virtual_storage, repository.relative_path,
    source.storage AS source_node_storage, target.storage AS target_node_storage, 'update' AS change
  FROM incomplete
  JOIN repositories AS repository USING (repository_id)
  JOIN healthy AS target USING (virtual_storage)
  LEFT JOIN storage_repositories AS present
    ON (present.repository_id, present.storage) = (repository.repository_id, target.storage)
  JOIN storage_repositories AS source
    ON (source.repository_id, source.generation, source.relative_path)
      = (repository.repository_id, repository.generation, repository.relative_path)
  JOIN healthy AS source_health
    ON (source_health.virtual_storage, source_health.storage)
      = (repository.virtual_storage, source.storage)
  WHERE present.generation IS DISTINCT FROM repository.generation
    AND (
      NOT EXISTS (SELECT FROM repository_assignments WHERE repository_id = repository.repository_id)
      OR EXISTS (
        SELECT FROM repository_assignments
        WHERE repository_id = repository.repository_id AND storage = target.storage
      )
    )
    AND NOT EXISTS (
      SELECT FROM unfinished WHERE repository_id = repository.repository_id
        AND (change, target) = ('delete_replica', source.storage)
    )
    AND NOT EXISTS (
      SELECT FROM unfinished WHERE repository_id = repository.repository_id
        AND (change, unfinished.target) = ('update', target.storage)
    )
  ORDER BY repository.repository_id, target.storage, random()`;

/** Removals of replicas that are not assigned: of each repository at most one. */
const REMOVALS = sql`
  SELECT DISTINCT ON (repository.repository_id)
    repository.repository_id, repository.virtual_storage, repository.relative_path,
    NULL AS source_node_storage, replica.storage AS target_node_storage, 'delete_replica' AS change
  FROM repositories AS repository
  JOIN storage_repositories AS replica USING (repository_id)
  JOIN healthy
    ON (healthy.virtual_storage, healthy.storage) = (repository.virtual_storage, replica.storage)
  WHERE EXISTS (SELECT FROM repository_assignments WHERE repository_id = repository.repository_id)
    AND NOT EXISTS (
      SELECT FROM repository_assignments
      WHERE repository_id = repository.repository_id AND storage = replica.storage
    )
    AND replica.generation <= (
      -- Of all replicas and all assigned storages: the oldest one goes first.
      SELECT min(coalesce(kept.generation, -1))
      FROM (
        SELECT storage FROM repository_assignments WHERE repository_id = repository.repository_id
      ) AS assigned
      FULL JOIN (
        SELECT storage, generation FROM storage_repositories
        WHERE repository_id = repository.repository_id
      ) AS kept USING (storage)
    )
    AND NOT EXISTS (
      SELECT FROM unfinished WHERE repository_id = repository.repository_id
        AND (replica.storage IN (source, target) OR change = 'delete_replica')
    )`;

/** Queues the jobs that follow from the tables, and returns them. */
function searchStatement(healthy: readonly (readonly [virtualStorage: string, storage: string])[]) {
  return sql<{ job: Job }>`
    WITH healthy AS (
      SELECT * FROM unnest(
        ${healthy.map(([name]) => name)}::text[], ${healthy.map(([, storage]) => storage)}::text[]
      ) AS pairs(virtual_storage, storage)
    ), unfinished AS MATERIALIZED (
      SELECT (job->>'repository_id')::bigint AS repository_id, job->>'change' AS change,
        job->>'source_node_storage' AS source, job->>'target_node_storage' AS target
      FROM replication_queue WHERE state NOT IN ('completed', 'dead')
    ), expected AS (
      SELECT virtual_storage, count(*) AS storages FROM healthy GROUP BY virtual_storage
    ), incomplete AS MATERIALIZED (
      -- In the order of an index: most repositories have nothing to copy.
      SELECT repository_id
      FROM repositories AS each
      JOIN expected USING (virtual_storage)
      LEFT JOIN storage_repositories AS present USING (repository_id, generation)
      LEFT JOIN healthy
        ON (healthy.virtual_storage, healthy.storage) = (each.virtual_storage, present.storage)
      GROUP BY repository_id, expected.storages
      HAVING count(healthy.storage) < expected.storages
    ), copies AS (
      ${COPIES}
    ), removals AS (
      ${REMOVALS}
    ), added AS (
      INSERT INTO replication_queue (lock_id, job, meta)
      SELECT concat_ws('|', virtual_storage, target_node_storage, relative_path), to_jsonb(jobs),
        jsonb_build_object('correlation_id', encode(random()::text::bytea, 'base64'))
      FROM (SELECT * FROM copies UNION ALL SELECT * FROM removals) AS jobs
      RETURNING lock_id, job, meta
    ), locks AS (
      INSERT INTO replication_queue_lock (id) SELECT DISTINCT lock_id FROM added ON CONFLICT DO NOTHING
    )
    SELECT jsonb_strip_nulls(jsonb_build_object(
      'repository_id', job->'repository_id',
      'change', job->'change',
      'correlation_id', meta->'correlation_id',
      'virtual_storage', job->'virtual_storage',
      'relative_path', job->'relative_path',
      'source_storage', job->'source_node_storage',
      'target_storage', job->'target_node_storage'
    )) AS job
    FROM added`;
}
