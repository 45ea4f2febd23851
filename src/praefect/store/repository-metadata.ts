import { type Database, sql } from '../database/database.ts';
import type { RepositoryKey } from '../model/repository-key.ts';

/** One replica of a repository, or a storage that is to get one. */
export interface ReplicaMetadata {
  readonly storage: string;
  /** -1 for a replica that does not exist yet. */
  readonly generation: number;
  readonly isAssigned: boolean;
  /** True by the consensus of all Praefects. */
  readonly isHealthy: boolean;
  readonly isValidPrimary: boolean;
  readonly verifiedAt: Date | undefined;
}

export interface RepositoryMetadata extends RepositoryKey {
  readonly repositoryId: number;
  readonly replicaPath: string;
  /** Empty if there is none. */
  readonly primary: string;
  readonly generation: number;
  /** False if all storages count as assigned. */
  readonly hasExplicitAssignments: boolean;
  /** Sorted by storage. */
  readonly replicas: readonly ReplicaMetadata[];
}

interface Row {
  readonly repository_id: number;
  readonly virtual_storage: string;
  readonly relative_path: string;
  readonly replica_path: string | null;
  readonly primary: string | null;
  readonly generation: number | null;
  readonly has_assignments: boolean;
  readonly replicas: readonly (Omit<ReplicaMetadata, 'verifiedAt'> & {
    readonly verifiedAt: string | null;
  })[];
}

type Condition = ReturnType<typeof sql>;

/** Reads all facts of repositories and their replicas. */
export class MetadataReader {
  readonly #database: Database;
  readonly #virtualStorages: readonly string[] = [];
  readonly #storages: readonly string[] = [];

  /** @param configured storages by virtual storage. */
  constructor(database: Database, configured: ReadonlyMap<string, readonly string[]>) {
    this.#database = database;
    const pairs = [...configured].flatMap(([name, storages]) => storages.map((storage) => [name, storage]));
    this.#virtualStorages = pairs.map(([name = '']) => name);
    this.#storages = pairs.map(([, storage = '']) => storage);
  }

  async byId(repositoryId: number): Promise<RepositoryMetadata | undefined> {
    return (await this.#read({ chosen: sql`repository_id = ${repositoryId}` }))[0];
  }

  async byPath({ relativePath, virtualStorage }: RepositoryKey): Promise<RepositoryMetadata | undefined> {
    const chosen = sql`virtual_storage = ${virtualStorage} AND relative_path = ${relativePath}`;
    return (await this.#read({ chosen }))[0];
  }

  /** Returns the repositories with these ids, in the order of the ids. */
  async byIds(ids: readonly number[]): Promise<readonly RepositoryMetadata[]> {
    const among = sql`repository_id = ANY (${ids}::bigint[])`;
    return await this.#read({ chosen: among, validOf: among });
  }

  async #read({
    chosen,
    // The condition is for one repository. As a single value, it restricts the view before its
    // window function.
    validOf = sql`repository_id = (SELECT repository_id FROM chosen)`,
  }: {
    chosen: Condition;
    validOf?: Condition;
  }): Promise<readonly RepositoryMetadata[]> {
    const rows = await this.#database.rows(sql<Row>`
      WITH chosen AS (
        SELECT * FROM repositories WHERE ${chosen}
      ), configured AS (
        SELECT * FROM unnest(${this.#virtualStorages}::text[], ${this.#storages}::text[])
          AS pairs(virtual_storage, storage)
      ), explicit AS (
        SELECT repository_id, storage
        FROM chosen JOIN configured USING (virtual_storage)
        JOIN (SELECT repository_id, storage FROM repository_assignments) AS rows
          USING (repository_id, storage)
      ), assigned AS (
        SELECT repository_id, storage FROM explicit
        UNION ALL
        SELECT repository_id, storage FROM chosen JOIN configured USING (virtual_storage)
        WHERE repository_id NOT IN (SELECT repository_id FROM explicit)
      ), existing AS (
        SELECT repository_id, storage, replicas.generation, verified_at
        FROM chosen JOIN storage_repositories AS replicas USING (repository_id)
      ), replicas AS (
        SELECT repository_id, storage, existing.generation, verified_at,
          assigned.storage IS NOT NULL AS is_assigned
        FROM existing FULL JOIN assigned USING (repository_id, storage)
      ), valid AS (
        SELECT repository_id, storage FROM valid_primaries WHERE ${validOf}
      )
      SELECT chosen.*,
        repository_id IN (SELECT repository_id FROM explicit) AS has_assignments,
        json_agg(json_build_object(
          'storage', storage,
          'generation', coalesce(replicas.generation, -1),
          'isAssigned', replicas.is_assigned,
          'isHealthy', healthy_storages.storage IS NOT NULL,
          'isValidPrimary', valid.storage IS NOT NULL,
          'verifiedAt', replicas.verified_at
        ) ORDER BY storage) AS replicas
      FROM chosen
      JOIN replicas USING (repository_id)
      LEFT JOIN healthy_storages USING (virtual_storage, storage)
      LEFT JOIN valid USING (repository_id, storage)
      GROUP BY repository_id, virtual_storage, relative_path, chosen.generation, "primary", replica_path
      ORDER BY repository_id`);
    return rows.map(metadataOf);
  }
}

function metadataOf(row: Row): RepositoryMetadata {
  return {
    repositoryId: row.repository_id,
    virtualStorage: row.virtual_storage,
    relativePath: row.relative_path,
    replicaPath: row.replica_path ?? '',
    primary: row.primary ?? '',
    generation: row.generation ?? 0,
    hasExplicitAssignments: row.has_assignments,
    replicas: row.replicas.map((replica) => ({
      ...replica,
      verifiedAt: replica.verifiedAt === null ? undefined : new Date(replica.verifiedAt),
    })),
  };
}
