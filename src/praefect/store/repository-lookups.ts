import { JoinedRuns } from '#base/async/joined-runs';
import { type Database, sql } from '../database/database.ts';
import type { RepositoryKey } from '../model/repository-key.ts';

/** The replicas that may serve a read. */
export interface ConsistentReplicas {
  readonly replicaPath: string;
  readonly storages: ReadonlySet<string>;
}

/** The facts that decide where a write goes. */
export interface WriteFacts extends ConsistentReplicas {
  readonly repositoryId: number;
  readonly primary: string | undefined;
  /** False if another replica should become the primary. */
  readonly isPrimaryValid: boolean;
  /** Explicitly assigned storages, configured or not. */
  readonly assigned: readonly string[];
}

/** Time after which writes no longer wait for a statement that hangs. */
const MAX_WAIT_MS = 1000;

/**
 * Looks repositories up in PostgreSQL, for routing. A replica at another path does not count: it
 * waits for a rename by an older Praefect.
 */
export class RepositoryLookups {
  readonly #database: Database;
  readonly #writes = new JoinedRuns<WriteFacts | undefined>({ maxWaitMs: MAX_WAIT_MS });

  constructor(database: Database) {
    this.#database = database;
  }

  /** Returns `undefined` for an unknown repository, and for one without such a replica. */
  async consistentReplicas(repository: RepositoryKey): Promise<ConsistentReplicas | undefined> {
    const row = await this.#database.preparedRow(
      'route_read',
      sql<{ replica_path: string; storages: string[] }>`
      SELECT replica_path, array_agg(storage) AS storages
      FROM repositories JOIN storage_repositories USING (repository_id, relative_path, generation)
      WHERE repositories.virtual_storage = ${repository.virtualStorage}
        AND repositories.relative_path = ${repository.relativePath}
      GROUP BY repository_id, replica_path`,
    );
    return row && { replicaPath: row.replica_path, storages: new Set(row.storages) };
  }

  /** Returns `undefined` for an unknown repository. Writes that begin together share a statement. */
  async writeFacts(repository: RepositoryKey): Promise<WriteFacts | undefined> {
    const { relativePath, virtualStorage } = repository;
    return await this.#writes.run(`${virtualStorage}\0${relativePath}`, () => this.#writeFacts(repository));
  }

  async #writeFacts(repository: RepositoryKey): Promise<WriteFacts | undefined> {
    const row = await this.#database.preparedRow(
      'route_write',
      sql<{
        repository_id: number;
        replica_path: string;
        primary: string | null;
        is_valid: boolean;
        storages: string[];
        assigned: string[];
      }>`
      SELECT repository_id, replica_path, "primary",
        EXISTS (
          SELECT FROM valid_primaries
          WHERE valid_primaries.repository_id = repositories.repository_id AND storage = "primary"
        ) AS is_valid,
        ARRAY (
          SELECT storage FROM storage_repositories AS replicas
          WHERE (replicas.repository_id, replicas.generation, replicas.relative_path)
            = (repositories.repository_id, repositories.generation, repositories.relative_path)
        ) AS storages,
        ARRAY (
          SELECT storage FROM repository_assignments AS assigned
          WHERE assigned.repository_id = repositories.repository_id ORDER BY storage
        ) AS assigned
      FROM repositories
      WHERE virtual_storage = ${repository.virtualStorage} AND relative_path = ${repository.relativePath}`,
    );
    return (
      row && {
        repositoryId: row.repository_id,
        replicaPath: row.replica_path,
        primary: row.primary ?? undefined,
        isPrimaryValid: row.is_valid,
        storages: new Set(row.storages),
        assigned: row.assigned,
      }
    );
  }

  async replicaPath(repository: RepositoryKey): Promise<string | undefined> {
    const row = await this.#database.row(sql<{ replica_path: string }>`
      SELECT replica_path FROM repositories
      WHERE virtual_storage = ${repository.virtualStorage} AND relative_path = ${repository.relativePath}`);
    return row?.replica_path;
  }

  async exists(repository: RepositoryKey): Promise<boolean> {
    return (await this.replicaPath(repository)) !== undefined;
  }

  /** Returns the path of a repository as clients name it. */
  async relativePathOf(repositoryId: number): Promise<string | undefined> {
    const row = await this.#database.row(sql<{ relative_path: string }>`
      SELECT relative_path FROM repositories WHERE repository_id = ${repositoryId}`);
    return row?.relative_path;
  }

  /** Returns a new id; `undefined` if the repository exists. */
  async reserveId(repository: RepositoryKey): Promise<number | undefined> {
    const row = await this.#database.row(sql<{ id: number }>`
      SELECT nextval('repositories_repository_id_seq') AS id
      WHERE NOT EXISTS (
        SELECT FROM repositories
        WHERE virtual_storage = ${repository.virtualStorage} AND relative_path = ${repository.relativePath}
      )`);
    return row?.id;
  }

  /** Yields the paths of all repositories of a virtual storage, in batches. */
  async *relativePaths(virtualStorage: string, batchSize = 10_000): AsyncGenerator<readonly string[]> {
    let last = '';
    for (;;) {
      const rows = await this.#database.rows(sql<{ relative_path: string }>`
        SELECT relative_path FROM repositories
        WHERE virtual_storage = ${virtualStorage} AND relative_path > ${last}
        ORDER BY relative_path LIMIT ${batchSize}`);
      if (rows.length > 0) yield rows.map((row) => row.relative_path);
      if (rows.length < batchSize) return;
      last = rows.at(-1)?.relative_path ?? '';
    }
  }
}
