import { GitalyError } from '#base/gitaly-error';
import { type Database, type Executor, sql, violatedConstraint } from '../database/database.ts';
import type { RepositoryKey } from '../model/repository-key.ts';

/** The location of a removed repository. */
export interface RemovedReplicas {
  readonly replicaPath: string;
  readonly storages: readonly string[];
}

/** Removes and renames repositories in the database. */
export class RepositoryRemovals {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Returns `undefined` for an unknown repository. */
  async remove({ relativePath, virtualStorage }: RepositoryKey): Promise<RemovedReplicas | undefined> {
    const row = await this.#database.row(sql<{ replica_path: string; storages: string[] }>`
      WITH removed AS (
        DELETE FROM repositories
        WHERE virtual_storage = ${virtualStorage} AND relative_path = ${relativePath}
        RETURNING repository_id, replica_path
      )
      SELECT replica_path, ARRAY (
        SELECT storage FROM storage_repositories AS replicas
        WHERE replicas.repository_id = removed.repository_id
      ) AS storages
      FROM removed`);
    return row && { replicaPath: row.replica_path, storages: row.storages };
  }

  /** Removes all repositories of a virtual storage and their jobs. */
  async removeAll(virtualStorage: string): Promise<void> {
    await this.#database.searchTransaction(async (executor) => {
      const ofStorage = sql`job->>'virtual_storage' = ${virtualStorage}`;
      await sql`DELETE FROM replication_queue_job_lock
        WHERE job_id IN (SELECT id FROM replication_queue WHERE ${ofStorage})`.execute(executor);
      await sql`DELETE FROM replication_queue WHERE ${ofStorage}`.execute(executor);
      await sql`DELETE FROM replication_queue_lock
        WHERE starts_with(id, ${`${virtualStorage}|`})`.execute(executor);
      await sql`DELETE FROM repositories WHERE virtual_storage = ${virtualStorage}`.execute(executor);
    });
  }

  /**
   * Gives a repository another path for clients. Its path on the disks stays.
   *
   * @throws {GitalyError} NOT_FOUND, ALREADY_EXISTS
   */
  async rename({ relativePath, virtualStorage }: RepositoryKey, newPath: string): Promise<void> {
    const renamed = this.#database.transaction(async (executor) => {
      const { rows } = await sql<{ repository_id: number }>`
        UPDATE repositories SET relative_path = ${newPath}
        WHERE virtual_storage = ${virtualStorage} AND relative_path = ${relativePath}
        RETURNING repository_id`.execute(executor);
      // Assignments follow by their foreign key.
      for (const { repository_id: id } of rows) {
        await sql`UPDATE storage_repositories SET relative_path = ${newPath}
          WHERE repository_id = ${id}`.execute(executor);
        await moveJobs(executor, { id, virtualStorage, relativePath, newPath });
      }
      return rows.length > 0;
    });
    try {
      if (!(await renamed)) throw new GitalyError('NOT_FOUND', 'repository does not exist');
    } catch (error) {
      if (violatedConstraint(error) === undefined) throw error;
      throw new GitalyError('ALREADY_EXISTS', 'target repo exists already', { cause: error });
    }
  }
}

interface Renamed extends RepositoryKey {
  readonly id: number;
  readonly newPath: string;
}

/**
 * Gives the jobs that wait for a repository its new path. By their paths the queue prevents that
 * two jobs of a repository run on one node. Removals are dropped, as the queue has one for a path;
 * the reconciler adds them again.
 */
async function moveJobs(
  executor: Executor,
  { id, newPath, relativePath, virtualStorage }: Renamed,
): Promise<void> {
  const isWaiting = sql`state IN ('ready', 'failed') AND job->>'virtual_storage' = ${virtualStorage}
    AND job->>'relative_path' = ${relativePath} AND (job->>'repository_id')::bigint = ${id}`;
  await sql`DELETE FROM replication_queue
    WHERE ${isWaiting} AND job->>'change' = 'delete_replica'`.execute(executor);
  await sql`
    WITH moved AS (
      UPDATE replication_queue
      SET job = jsonb_set(job, '{relative_path}', to_jsonb(${newPath}::text)),
        lock_id = concat_ws('|', ${virtualStorage}::text, job->>'target_node_storage', ${newPath}::text)
      WHERE ${isWaiting}
      RETURNING lock_id
    )
    INSERT INTO replication_queue_lock (id) SELECT DISTINCT lock_id FROM moved
    ON CONFLICT (id) DO UPDATE SET id = excluded.id`.execute(executor);
}
