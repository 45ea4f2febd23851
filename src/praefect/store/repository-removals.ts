import { GitalyError } from '#base/gitaly-error';
import { type Database, sql, violatedConstraint } from '../database/database.ts';
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
      for (const { repository_id: id } of rows)
        await sql`UPDATE storage_repositories SET relative_path = ${newPath}
          WHERE repository_id = ${id}`.execute(executor);
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
