import { JoinedRuns } from '#base/async/joined-runs';
import { GitalyError } from '#base/gitaly-error';
import { type Database, sql, violatedConstraint } from '../database/database.ts';
import type { ReplicationJob } from '../model/job.ts';
import { type RepositoryKey, repositoryNotFound } from '../model/repository-key.ts';
import {
  type CopyPlan,
  type CreatedRepository,
  groupsOf,
  type RecordedWrite,
  type ReplicaStore,
} from './replica-store.ts';

/** Constraints that a repository violates which another call has created meanwhile. */
const TAKEN: ReadonlySet<string | undefined> = new Set([
  'repository_lookup_index',
  'storage_repositories_pkey',
  'storage_repositories_new_pkey',
]);

/** Time after which writes no longer wait for a record that hangs. */
const MAX_RECORD_WAIT_MS = 1000;

/**
 * Repositories and their replicas in PostgreSQL. Each operation is one statement. Writes to a
 * repository that end while a record of it is written share the next statement, if the same nodes
 * have them. Otherwise their records would only wait for each other.
 */
export class PostgresStore implements ReplicaStore {
  readonly #database: Database;
  readonly #records = new JoinedRuns<readonly string[]>({ maxWaitMs: MAX_RECORD_WAIT_MS });
  /** Reports whether repositories have separate primaries. */
  protected readonly recordsPrimary: boolean = true;

  constructor(database: Database) {
    this.#database = database;
  }

  async recordCreation(created: CreatedRepository): Promise<void> {
    const { isAssigned, outdated, primary, replicaPath, repository, repositoryId: id, updated } = created;
    const recorded = this.recordsPrimary ? primary : null;
    const { relativePath, virtualStorage } = repository;
    const written = [primary, ...updated];
    const assigned = isAssigned ? [...written, ...outdated] : [];
    const rows = (storages: readonly string[]) =>
      sql`SELECT ${virtualStorage}::text, ${relativePath}::text, storage, ${id}::bigint
        FROM unnest(${storages}::text[]) AS each(storage)`;
    try {
      await this.#database.run(sql`
        WITH repository AS (
          INSERT INTO repositories
            (repository_id, virtual_storage, relative_path, replica_path, generation, "primary")
          VALUES (${id}, ${virtualStorage}, ${relativePath}, ${replicaPath}, 0, ${recorded}::text)
        ), assignments AS (
          INSERT INTO repository_assignments (virtual_storage, relative_path, storage, repository_id)
          ${rows(assigned)}
        )
        INSERT INTO storage_repositories (virtual_storage, relative_path, storage, repository_id, generation)
        SELECT new.*, 0 FROM (${rows(written)}) AS new`);
    } catch (error) {
      const constraint = violatedConstraint(error);
      if (constraint === 'repositories_pkey')
        throw new Error(`repository id ${id} already in use`, { cause: error });
      if (TAKEN.has(constraint))
        throw new GitalyError('ALREADY_EXISTS', 'repository already exists', { cause: error });
      throw error;
    }
  }

  async recordWrite(write: RecordedWrite): Promise<readonly string[]> {
    const { primary, repositoryId, successors = [], updated } = write;
    if (successors.length > 0) return await this.#record(write, 1);
    const key = JSON.stringify([repositoryId, primary, ...updated.toSorted()]);
    return await this.#records.run(key, (writes) => this.#record(write, writes));
  }

  /** Records this number of writes that the same storages have. */
  async #record(write: RecordedWrite, writes: number): Promise<readonly string[]> {
    const { repositoryId: id } = write;
    const candidates = groupsOf(write).flatMap((group, rank) => group.map((storage) => ({ storage, rank })));
    // Both rows are locked by one join, which is evaluated again with their new versions after a
    // concurrent write. It would skip rows that this statement has changed. So the array makes it
    // lock all rows first, and the counts change all replicas before the repository.
    const row = await this.#database.preparedRow(
      'record_write',
      sql<{ found: boolean; written: string[] }>`
      WITH candidates AS (
        SELECT * FROM unnest(
          ${candidates.map(({ storage }) => storage)}::text[],
          ${candidates.map(({ rank }) => rank)}::int[]
        ) AS each(storage, rank)
      ), current AS (
        SELECT replicas.storage
        FROM repositories
        JOIN storage_repositories AS replicas USING (repository_id, generation)
        WHERE repository_id = ${id} AND replicas.storage IN (SELECT storage FROM candidates)
        FOR UPDATE OF repositories, replicas
      ), present AS (
        SELECT storage, rank FROM candidates WHERE storage IN (SELECT storage FROM current)
      ), replicas AS (
        UPDATE storage_repositories SET generation = generation + ${writes}
        WHERE repository_id = ${id} AND storage = ANY (ARRAY (
          SELECT storage FROM present WHERE rank = (SELECT min(rank) FROM present)
        ))
        RETURNING storage
      ), repository AS (
        UPDATE repositories SET generation = generation + ${writes}
        WHERE repository_id = ${id} AND (SELECT count(*) FROM replicas) > 0
      )
      SELECT EXISTS (SELECT FROM repositories WHERE repository_id = ${id}) AS found,
        ARRAY (SELECT storage FROM replicas) AS written`,
    );
    if (row?.found !== true) throw repositoryNotFound(write.repository);
    if (row.written.length === 0) throw new GitalyError('INTERNAL', 'write to outdated nodes');
    return row.written;
  }

  async recordRemoval({ relativePath, virtualStorage }: RepositoryKey): Promise<void> {
    await this.#database.run(sql`
      DELETE FROM repositories
      WHERE virtual_storage = ${virtualStorage} AND relative_path = ${relativePath}`);
  }

  async planCopy({ repositoryId: id, source, target }: ReplicationJob): Promise<CopyPlan | undefined> {
    const row = await this.#database.row(sql<{ path: string; source: number | null; target: number | null }>`
      SELECT replica_path AS path,
        (SELECT generation FROM storage_repositories
          WHERE repository_id = ${id} AND storage = ${source}) AS source,
        (SELECT generation FROM storage_repositories
          WHERE repository_id = ${id} AND storage = ${target}) AS target
      FROM repositories WHERE repository_id = ${id}`);
    if (row === undefined) return undefined;
    return { source: row.source ?? -1, target: row.target ?? -1, replicaPath: row.path };
  }

  async recordCopy({ repositoryId: id, target }: ReplicationJob, generation: number): Promise<void> {
    // The path is that of now: a replica with the path of the job would take part in nothing after
    // a rename. The lock waits for a rename that runs.
    await this.#database.run(sql`
      WITH raised AS (
        UPDATE repositories SET generation = ${generation}
        WHERE repository_id = ${id} AND coalesce(generation, -1) < ${generation}
      )
      INSERT INTO storage_repositories (repository_id, virtual_storage, relative_path, storage, generation)
      SELECT repository_id, virtual_storage, relative_path, ${target}, ${generation}
      FROM repositories WHERE repository_id = ${id}
      FOR NO KEY UPDATE
      ON CONFLICT (repository_id, storage)
      DO UPDATE SET relative_path = excluded.relative_path,
        generation = greatest(storage_repositories.generation, excluded.generation)`);
  }

  async removeReplica({ repositoryId: id, target }: ReplicationJob): Promise<boolean> {
    const removed = await this.#database.run(sql`
      DELETE FROM storage_repositories WHERE repository_id = ${id} AND storage = ${target}`);
    return removed > 0;
  }

  async releaseReplica({ change, repositoryId: id, target }: ReplicationJob): Promise<boolean> {
    if (change === 'delete') return true; // no other repository gets its path
    return await this.#database.transaction(async (executor) => {
      // All that assigns nodes or changes generations waits for this lock.
      await sql`SELECT FROM repositories WHERE repository_id = ${id} FOR UPDATE`.execute(executor);
      const { rows } = await sql<{ is_needed: boolean | null }>`
        SELECT bool_or(
          assigned.storage = ${target}
          OR coalesce(present.generation, -1) < coalesce(replica.generation, 0)
        ) AS is_needed
        FROM repository_assignments AS assigned
        LEFT JOIN storage_repositories AS present USING (repository_id, storage)
        LEFT JOIN storage_repositories AS replica
          ON (replica.repository_id, replica.storage) = (assigned.repository_id, ${target})
        WHERE assigned.repository_id = ${id}`.execute(executor);
      // It is null if no nodes are assigned explicitly: all are then.
      if (rows[0]?.is_needed !== false) return false;
      await sql`DELETE FROM storage_repositories
        WHERE repository_id = ${id} AND storage = ${target}`.execute(executor);
      return true;
    });
  }

  async removeInvalidSource({ repositoryId: id, source }: ReplicationJob): Promise<void> {
    await this.#database.run(sql`
      DELETE FROM storage_repositories WHERE repository_id = ${id} AND storage = ${source}`);
  }
}
