import { type Database, sql } from '../database/database.ts';
import type { RepositoryKey } from '../model/repository-key.ts';
import { cancelRemovals } from './cancel-removals.ts';

/** The replicas of a repository, of a virtual storage, or of one node of it. */
export type ReplicaSelector =
  | { readonly repositoryId: number }
  | { readonly virtualStorage: string; readonly storage?: string };

/** Changes the records of replicas in the database, as requested by an operator. */
export class ReplicaMarks {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Marks replicas for another verification. Returns the number of those that were verified. */
  async markUnverified(selector: ReplicaSelector): Promise<number> {
    const condition =
      'repositoryId' in selector
        ? sql`replicas.repository_id = ${selector.repositoryId}`
        : sql`repositories.virtual_storage = ${selector.virtualStorage}
          AND coalesce(replicas.storage = ${selector.storage ?? null}::text, true)`;
    return await this.#database.run(sql`
      UPDATE storage_repositories AS replicas SET verified_at = NULL
      FROM repositories
      WHERE repositories.repository_id = replicas.repository_id AND replicas.verified_at IS NOT NULL
        AND ${condition}`);
  }

  /**
   * Makes a replica the newest one, whatever state the others have. Returns false for an unknown
   * repository.
   */
  async setAuthoritative({ relativePath, virtualStorage }: RepositoryKey, storage: string): Promise<boolean> {
    return await this.#database.transaction(async (executor) => {
      const { rows } = await sql<{ repository_id: number }>`
        WITH repository AS (
          UPDATE repositories SET generation = generation + 1
          WHERE virtual_storage = ${virtualStorage} AND relative_path = ${relativePath}
          RETURNING *
        )
        INSERT INTO storage_repositories (virtual_storage, relative_path, storage, repository_id, generation)
        SELECT virtual_storage, relative_path, ${storage}, repository_id, generation FROM repository
        ON CONFLICT (virtual_storage, relative_path, storage)
        DO UPDATE SET repository_id = excluded.repository_id, generation = excluded.generation
        RETURNING repository_id`.execute(executor);
      for (const { repository_id: id } of rows) await cancelRemovals(id, [storage]).execute(executor);
      return rows.length > 0;
    });
  }
}
