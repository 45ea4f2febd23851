import { type Database, sql } from '../database/database.ts';
import { MetadataReader, type RepositoryMetadata } from './repository-metadata.ts';

/**
 * Number of repositories whose facts are read at once. A message with all of them is below 4 MiB,
 * as an index limits their paths to 2.7 kB.
 */
const PAGE = 1000;

/** Copies and removals in the queue that are not done. */
const UNFINISHED_REMOVALS = sql`SELECT (job->>'repository_id')::bigint AS repository_id,
    job->>'target_node_storage' AS storage
  FROM replication_queue
  WHERE state NOT IN ('completed', 'dead', 'cancelled') AND job->>'change' = 'delete_replica'`;

/**
 * Condition on `repositories`: no replica can be the primary. One that is healthy and up to date is
 * enough, as assignments do not exclude all of these.
 */
const IS_UNAVAILABLE = sql`NOT EXISTS (
  SELECT FROM storage_repositories AS replica
  JOIN healthy_storages USING (virtual_storage, storage)
  WHERE replica.repository_id = repositories.repository_id
    AND replica.generation = repositories.generation
    AND NOT EXISTS (
      SELECT FROM (${UNFINISHED_REMOVALS}) AS removal
      WHERE (removal.repository_id, removal.storage) = (replica.repository_id, replica.storage)
    )
)`;

/**
 * Searches all repositories for those that are not available. It reads the tables in the order of
 * an index; the view `valid_primaries` would sort all replicas.
 */
export class Availability {
  readonly #database: Database;
  readonly #metadata: MetadataReader;
  readonly #configured: ReadonlyMap<string, readonly string[]>;

  /** @param configured storages by virtual storage. */
  constructor(database: Database, configured: ReadonlyMap<string, readonly string[]>) {
    this.#database = database;
    this.#metadata = new MetadataReader(database, configured);
    this.#configured = configured;
  }

  /**
   * Yields the repositories of which an assigned replica cannot become the primary, in the order
   * of their ids, in pages that are not empty.
   */
  async *partiallyAvailable(virtualStorage: string): AsyncGenerator<readonly RepositoryMetadata[]> {
    const ids = await this.#suspects(virtualStorage);
    for (let start = 0; start < ids.length; start += PAGE) {
      const page = await this.#metadata.byIds(ids.slice(start, start + PAGE));
      const partial = page.filter(({ replicas }) =>
        replicas.some(({ isAssigned, isValidPrimary }) => isAssigned && !isValidPrimary),
      );
      if (partial.length > 0) yield partial;
    }
  }

  /**
   * Counts the repositories without a replica that can be the primary, by virtual storage.
   *
   * @param timeoutMs limit of the query.
   */
  async countUnavailable(timeoutMs: number): Promise<ReadonlyMap<string, number>> {
    const statement = sql<{ virtual_storage: string; count: number }>`
      SELECT virtual_storage, count(*) AS count
      FROM repositories
      WHERE virtual_storage = ANY (${[...this.#configured.keys()]}::text[])
        AND ${IS_UNAVAILABLE}
      GROUP BY virtual_storage`;
    const rows = await this.#database.limitedRows(statement, timeoutMs);
    return new Map(rows.map((row) => [row.virtual_storage, row.count]));
  }

  /** Returns the first paths of repositories without a replica that can be the primary. */
  async unavailablePaths(virtualStorage: string, limit: number): Promise<readonly string[]> {
    const rows = await this.#database.search(sql<{ relative_path: string }>`
      SELECT relative_path FROM repositories
      WHERE virtual_storage = ${virtualStorage} AND ${IS_UNAVAILABLE}
      ORDER BY relative_path LIMIT ${limit}`);
    return rows.map((row) => row.relative_path);
  }

  /** Returns the ids of the repositories that are partially available, and of a few others. */
  async #suspects(virtualStorage: string): Promise<readonly number[]> {
    const configured = this.#configured.get(virtualStorage) ?? [];
    const rows = await this.#database.search(sql<{ repository_id: number }>`
      WITH healthy AS MATERIALIZED (
        SELECT array_agg(storage::text) AS storages FROM healthy_storages
        WHERE virtual_storage = ${virtualStorage} AND storage = ANY (${configured}::text[])
      ), incomplete AS (
        SELECT repository_id
        FROM repositories AS each
        LEFT JOIN storage_repositories AS replica USING (repository_id, generation)
        WHERE each.virtual_storage = ${virtualStorage}
        GROUP BY repository_id
        HAVING count(*) FILTER (WHERE replica.storage = ANY ((SELECT storages FROM healthy)::text[]))
          < ${configured.length}::bigint
      ), assigned AS (
        SELECT repository_id, storage FROM repository_assignments
        WHERE virtual_storage = ${virtualStorage} AND storage = ANY (${configured}::text[])
      )
      SELECT repository_id FROM incomplete
      WHERE repository_id NOT IN (SELECT repository_id FROM assigned)
      UNION
      SELECT each.repository_id
      FROM assigned
      JOIN repositories AS each USING (repository_id)
      LEFT JOIN storage_repositories AS replica
        ON (replica.repository_id, replica.storage, replica.generation)
          = (each.repository_id, assigned.storage, each.generation)
        AND replica.storage = ANY ((SELECT storages FROM healthy)::text[])
      WHERE replica.storage IS NULL
      UNION
      SELECT repository_id FROM repository_assignments
      WHERE virtual_storage = ${virtualStorage} AND storage <> ALL (${configured}::text[])
      UNION
      SELECT repository_id FROM (${UNFINISHED_REMOVALS}) AS removal
      JOIN repositories USING (repository_id) WHERE virtual_storage = ${virtualStorage}
      ORDER BY repository_id`);
    return rows.map((row) => row.repository_id);
  }
}
