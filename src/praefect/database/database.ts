import { setImmediate as nextTurn } from 'node:timers/promises';
import { Kysely, PostgresDialect, type QueryResult, type RawBuilder, sql, type Transaction } from 'kysely';
import { DatabaseError, Pool } from 'pg';
import { messageOf } from '#base/gitaly-error';
import { isError } from '#base/is-error';
import type { ConnectionSettings } from './connection-settings.ts';
import {
  clientConfig,
  closeClient,
  connectClient,
  LimitedClient,
  type StatementLimit,
} from './limited-client.ts';

export { sql } from 'kysely';

/** Where a statement runs: the pool, or a transaction. */
export type Executor = Kysely<unknown> | Transaction<unknown>;

/** Connections of one Praefect. */
const MAX_CONNECTIONS = 20;
/** Of these, for searches: one that takes minutes holds none of those for requests. */
const MAX_SEARCHES = 4;
const IDLE_TIMEOUT_MS = 60_000;
/** The oldest supported server, as PostgreSQL numbers them. */
const MIN_VERSION = 110_000;
/** Limit of statements that read whole tables, as dataloss does. */
const SEARCH_LIMIT_MS = 10 * 60_000;

/** Limits of a server, whose clients wait. */
export interface DatabaseLimits {
  /** After this time a statement fails and its connection is closed. Default: no limit. */
  readonly statementMs?: number;
}

/**
 * The pool of connections to PostgreSQL. It keeps no state in a session and prepares no statements
 * by name, so a pooler for transactions may be between. A lost connection is replaced at the next
 * statement.
 */
export class Database implements AsyncDisposable {
  readonly #kysely: Kysely<unknown>;
  /** For statements that may take minutes. */
  readonly #searching: Kysely<unknown>;

  private constructor(settings: ConnectionSettings, { statementMs }: DatabaseLimits) {
    const isLimited = statementMs !== undefined;
    this.#kysely = pooled(settings, { max: MAX_CONNECTIONS - MAX_SEARCHES, limitMs: statementMs });
    this.#searching = pooled(settings, {
      max: MAX_SEARCHES,
      limitMs: isLimited ? SEARCH_LIMIT_MS : undefined,
    });
  }

  /**
   * Connects.
   *
   * @throws {Error} `send ping: …` when the server cannot be reached within 30 s.
   */
  static async open(settings: ConnectionSettings, limits: DatabaseLimits = {}): Promise<Database> {
    return new Database(await probe(settings), limits);
  }

  /** Runs a statement and returns its rows. */
  async rows<Row>(statement: RawBuilder<Row>): Promise<Row[]> {
    return (await this.#execute(statement)).rows;
  }

  /**
   * Runs a statement that the server aborts after a time. The limit is that of a transaction, so a
   * pooler may be between.
   */
  async limitedRows<Row>(statement: RawBuilder<Row>, timeoutMs: number): Promise<readonly Row[]> {
    return await this.searchTransaction(async (executor) => {
      await sql`SELECT set_config('statement_timeout', ${String(Math.ceil(timeoutMs))}, true)`.execute(
        executor,
      );
      return (await statement.execute(executor)).rows;
    });
  }

  /** Runs a statement that reads whole tables, and returns its rows. */
  async search<Row>(statement: RawBuilder<Row>): Promise<Row[]> {
    return (await statement.execute(this.#searching)).rows;
  }

  /** Runs a statement and returns its first row. */
  async row<Row>(statement: RawBuilder<Row>): Promise<Row | undefined> {
    return (await this.rows(statement))[0];
  }

  /** Runs a statement and returns the number of affected rows. */
  async run(statement: RawBuilder<unknown>): Promise<number> {
    return Number((await this.#execute(statement)).numAffectedRows ?? 0n);
  }

  /** Runs statements in a transaction, which is rolled back when `work` rejects. */
  async transaction<T>(work: (executor: Executor) => Promise<T>): Promise<T> {
    return await this.#kysely.transaction().execute(work);
  }

  /** Runs a transaction whose statements may take minutes. */
  async searchTransaction<T>(work: (executor: Executor) => Promise<T>): Promise<T> {
    return await this.#searching.transaction().execute(work);
  }

  /** @throws {Error} for a server that is too old, and a database that does not store UTF-8. */
  async checkVersion(): Promise<void> {
    let found: number;
    let encoding: string | undefined;
    try {
      const [row] = await this.rows(sql<{ version: string; encoding: string }>`
        SELECT current_setting('server_version_num') AS version,
          current_setting('server_encoding') AS encoding`);
      found = Number(row?.version);
      encoding = row?.encoding;
    } catch (error) {
      throw new Error(`get postgres server version: ${messageOf(error)}`, { cause: error });
    }
    if (found < MIN_VERSION) throw new Error(`postgres server version too old: ${found}`);
    // With SQL_ASCII a path may be stored that is no text: notifications and reads of it fail.
    if (encoding === 'SQL_ASCII')
      throw new Error(
        `the encoding of the database is ${encoding}, but Praefect needs UTF8. Create it with: ` +
          "CREATE DATABASE praefect_production ENCODING 'UTF8' TEMPLATE template0",
      );
  }

  /** Runs a statement, on another connection if the server had closed the first one before. */
  async #execute<Row>(statement: RawBuilder<Row>): Promise<QueryResult<Row>> {
    for (let closed = 0; ; closed++) {
      try {
        return await statement.execute(this.#kysely);
      } catch (error) {
        if (closed === MAX_CONNECTIONS || !isNotExecuted(error)) throw error;
        await nextTurn(); // the pool learns of the closed connections
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#kysely.destroy(), this.#searching.destroy()]);
  }
}

/** @param options.limitMs limit of each statement; `undefined` for none. */
function pooled(
  settings: ConnectionSettings,
  { limitMs, max }: { limitMs: number | undefined; max: number },
): Kysely<unknown> {
  const limit: StatementLimit = { limitMs };
  const pool = new Pool({
    ...clientConfig(settings),
    ...limit,
    Client: LimitedClient,
    max,
    idleTimeoutMillis: IDLE_TIMEOUT_MS,
    allowExitOnIdle: true,
  });
  // The pool has dropped the idle connection that failed; statements report their own errors.
  pool.on('error', () => {});
  // While a client runs a statement, its errors have no other listener.
  pool.on('connect', (client) => client.on('error', () => {}));
  return new Kysely({ dialect: new PostgresDialect({ pool }) });
}

/** Returns the name of the unique constraint or index that an error reports. */
export function violatedConstraint(error: unknown): string | undefined {
  return error instanceof DatabaseError && error.code === '23505' ? error.constraint : undefined;
}

/** Connects once, and returns the settings with which that worked. */
async function probe(settings: ConnectionSettings): Promise<ConnectionSettings> {
  try {
    const client = await connectClient(settings);
    const isPlain = settings.ssl !== false && client.ssl === false;
    await closeClient(client);
    return isPlain ? { ...settings, ssl: false } : settings;
  } catch (error) {
    throw new Error(`send ping: ${connectMessage(error)}`, { cause: error });
  }
}

/**
 * Codes of connections that the server closed before it executed the statement: while it was idle,
 * or as an administrator's command, which rolls back what runs.
 */
const CLOSED: ReadonlySet<unknown> = new Set(['EPIPE', '57P01']);

function isNotExecuted(error: unknown): boolean {
  return isError(error) && 'code' in error && CLOSED.has(error.code);
}

/** Node reports several refused addresses of a host as one error without a message. */
function connectMessage(error: unknown): string {
  return error instanceof AggregateError ? error.errors.map(messageOf).join(', ') : messageOf(error);
}
