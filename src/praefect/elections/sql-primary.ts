import type { Logger } from '#platform/log/logger';
import { type Database, type Executor, sql } from '../database/database.ts';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import type { CheckedNodes, PrimaryChoice } from './election.ts';
import { ACTIVE_SECONDS, recordStatus } from './node-status.ts';

/** The least time between elections. */
const ELECTION_SECONDS = 10;
/** How long a Praefect counts as active after it checked a node. */
const PRAEFECT_SECONDS = 60;

export interface SqlPrimaryOptions {
  readonly database: Database;
  readonly virtualStorage: string;
  /** Name of this Praefect among all that share the database. */
  readonly praefectName: string;
  /** In the order of the configuration. */
  readonly nodes: readonly GitalyNode[];
  readonly logger: Logger;
}

/**
 * Keeps the primary of a virtual storage in the table `shard_primaries` (strategy `sql`).
 * Candidates are the nodes that at least half of the Praefects see. When the primary is none of
 * them, the candidate that misses the fewest writes takes its place: at most every ten seconds,
 * unless the server of the primary has ended.
 * Without candidates the primary is demoted, and nothing takes its calls.
 */
export class SqlPrimary implements PrimaryChoice {
  readonly #options: SqlPrimaryOptions;
  #current: GitalyNode | undefined;

  constructor(options: SqlPrimaryOptions) {
    this.#options = options;
    this.#current = options.nodes[0];
  }

  get current(): GitalyNode | undefined {
    return this.#current;
  }

  async update(checked: CheckedNodes): Promise<void> {
    const gone = (checked.gone ?? []).map(({ storage }) => storage);
    const { database } = this.#options;
    // Committed first: of Praefects that report at the same time, the last one sees all reports.
    await database.run(this.#report(checked));
    const name = await database.transaction(async (executor) => {
      const candidates = await this.#candidates(executor);
      const stored = async () => (await this.#stored().execute(executor)).rows[0]?.name;
      const primary = await stored();
      if (candidates.length === 0) await this.#demote(executor);
      else if (primary === undefined || !candidates.includes(primary))
        await this.#elect(executor, { candidates, gone });
      else return primary;
      // Another Praefect may have elected in the meantime.
      return await stored();
    });
    this.#set(name);
  }

  /** Queries the database, because other Praefects also hold elections. */
  async find(): Promise<GitalyNode | undefined> {
    const { database } = this.#options;
    this.#set((await database.row(this.#stored()))?.name);
    return this.#current;
  }

  /** The statement that records the results of this Praefect. */
  #report({ gone = [], serving }: CheckedNodes) {
    const { nodes, praefectName, virtualStorage } = this.#options;
    const statuses = nodes.map((node) => ({
      virtualStorage,
      storage: node.storage,
      isServing: serving.includes(node),
      isGone: gone.includes(node),
    }));
    return recordStatus(praefectName, statuses);
  }

  /** Returns the storages that may become the primary, those first that most Praefects see. */
  async #candidates(executor: Executor): Promise<readonly string[]> {
    const { logger, nodes, virtualStorage } = this.#options;
    const { rows } = await sql<{ name: string }>`
      SELECT node_name AS name FROM node_status
      WHERE shard_name = ${virtualStorage}
        AND last_seen_active_at >= now() - make_interval(secs => ${ACTIVE_SECONDS})
      GROUP BY node_name
      HAVING count(*) >= (
        SELECT greatest(1, ceil(count(DISTINCT praefect_name) / 2.0)) FROM node_status
        WHERE shard_name = ${virtualStorage}
          AND last_contact_attempt_at >= now() - make_interval(secs => ${PRAEFECT_SECONDS})
      )
      ORDER BY count(*) DESC, node_name`.execute(executor);
    const candidates = rows.map(({ name }) => name);
    return candidates.filter((name) => {
      const isConfigured = nodes.some(({ storage }) => storage === name);
      if (!isConfigured) logger.error({ node_name: name }, 'unknown candidate node name found');
      return isConfigured;
    });
  }

  /** The statement that reads the primary. */
  #stored() {
    return sql<{ name: string }>`
      SELECT node_name AS name FROM shard_primaries
      WHERE shard_name = ${this.#options.virtualStorage} AND NOT demoted`;
  }

  async #demote(executor: Executor): Promise<void> {
    const { logger, virtualStorage } = this.#options;
    const { rows } = await sql<{ name: string }>`
      UPDATE shard_primaries SET demoted = true
      WHERE shard_name = ${virtualStorage} AND NOT demoted RETURNING node_name AS name`.execute(executor);
    if (rows[0] !== undefined) logger.info({ primary: rows[0].name }, 'demoting primary node');
  }

  async #elect(
    executor: Executor,
    { candidates, gone }: { readonly candidates: readonly string[]; readonly gone: readonly string[] },
  ): Promise<void> {
    const { logger, praefectName, virtualStorage } = this.#options;
    const { rows } = await sql<{ storage: string }>`
      SELECT candidates.storage
      FROM repositories CROSS JOIN unnest(${candidates}::text[]) AS candidates(storage)
      LEFT JOIN storage_repositories AS replicas
        ON replicas.repository_id = repositories.repository_id AND replicas.storage = candidates.storage
      WHERE repositories.virtual_storage = ${virtualStorage}
      GROUP BY candidates.storage
      ORDER BY sum(repositories.generation - coalesce(replicas.generation, -1))
      LIMIT 1`.execute(executor);
    const elected = rows[0]?.storage ?? candidates[0];
    const written = await sql`
      INSERT INTO shard_primaries (elected_by_praefect, shard_name, node_name, elected_at)
      VALUES (${praefectName}, ${virtualStorage}, ${elected}, now())
      ON CONFLICT (shard_name) DO UPDATE SET
        elected_by_praefect = excluded.elected_by_praefect,
        node_name = excluded.node_name,
        elected_at = excluded.elected_at,
        demoted = false
      WHERE shard_primaries.elected_at < now() - make_interval(secs => ${ELECTION_SECONDS})
        OR shard_primaries.node_name = ANY(${gone}::text[])`.execute(executor);
    if (written.numAffectedRows !== 1n) return;
    logger.info(
      { candidates, new_primary: elected, fallback_choice: rows.length === 0 },
      'new primary selected',
    );
  }

  #set(name: string | undefined): void {
    const { logger, nodes } = this.#options;
    const primary = nodes.find(({ storage }) => storage === name);
    if (primary === this.#current) return;
    logger.info(
      { oldPrimary: this.#current?.storage ?? '', newPrimary: primary?.storage ?? '' },
      'primary node changed',
    );
    this.#current = primary;
  }
}
