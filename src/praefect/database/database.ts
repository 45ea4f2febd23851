import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Kysely, PostgresDialect, type RawBuilder, sql, type Transaction } from 'kysely';
import { DatabaseError, Pool, type QueryConfig, type QueryResultRow } from 'pg';
import { messageOf, prefixed } from '#base/gitaly-error';
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

/** Limit of connections of one Praefect. */
const MAX_CONNECTIONS = 20;
/**
 * Part of these connections for searches, so that a search of minutes leaves connections for
 * requests.
 */
const MAX_SEARCHES = 4;
const IDLE_TIMEOUT_MS = 60_000;
/**
 * Age at which a connection is replaced. Plans of prepared statements depend on the sizes of
 * tables, which PostgreSQL reads again only when it has analyzed them.
 */
const MAX_AGE_SECONDS = 300;
/** The oldest supported server, as PostgreSQL numbers them. */
const MIN_VERSION = 110_000;
/** Limit of statements that read whole tables, as dataloss does. */
const SEARCH_LIMIT_MS = 10 * 60_000;

/** Limits for a server, which has clients that wait. */
export interface DatabaseLimits {
  /** After this time a statement fails and its connection is closed. Default: no limit. */
  readonly statementMs?: number;
}

/**
 * The pool of connections to PostgreSQL. A pooler for transactions may be between: nothing depends
 * on the state of a session, and if prepared statements are missing, no more are prepared. A lost
 * connection is replaced at the next statement.
 */
export class Database implements AsyncDisposable {
  readonly #kysely: Kysely<unknown>;
  /** The connections of `#kysely`. */
  readonly #pool: Pool;
  readonly #names = new Map<string, string>();
  /** False if a pooler mixes the prepared statements of its clients. */
  #isPreparing = true;
  /** For statements that may take minutes. */
  readonly #searching: Kysely<unknown>;

  private constructor(settings: ConnectionSettings, { statementMs }: DatabaseLimits) {
    const isLimited = statementMs !== undefined;
    this.#pool = poolOf(settings, { max: MAX_CONNECTIONS - MAX_SEARCHES, limitMs: statementMs });
    this.#kysely = kyselyOf(this.#pool);
    const limitMs = isLimited ? SEARCH_LIMIT_MS : undefined;
    this.#searching = kyselyOf(poolOf(settings, { max: MAX_SEARCHES, limitMs }));
  }

  /**
   * Connects.
   *
   * @throws {Error} `send ping: …` when the server cannot be reached within 30 s.
   */
  static async open(settings: ConnectionSettings, limits: DatabaseLimits = {}): Promise<Database> {
    return new Database(await probe(settings), limits);
  }

  async rows<Row>(statement: RawBuilder<Row>): Promise<Row[]> {
    return (await this.#execute(() => statement.execute(this.#kysely))).rows;
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

  /**
   * Runs a statement that each connection parses and plans once, and returns its first row. That
   * takes several times as long as the execution of short statements.
   *
   * @param name of letters and `_`; the text of its statements is always the same.
   */
  async preparedRow<Row>(name: string, statement: RawBuilder<Row>): Promise<Row | undefined> {
    if (!this.#isPreparing) return await this.row(statement);
    const { parameters, sql: text } = statement.compile(this.#kysely);
    const query = { name: this.#nameOf(name, text), text, values: [...parameters] };
    try {
      const { rows } = await this.#execute(() => this.#query<Row>(query));
      return rows[0];
    } catch (error) {
      if (!isOfOtherClient(error)) throw error;
      this.#isPreparing = false;
      return await this.row(statement);
    }
  }

  /** Runs a statement and returns the number of affected rows. */
  async run(statement: RawBuilder<unknown>): Promise<number> {
    return Number((await this.#execute(() => statement.execute(this.#kysely))).numAffectedRows ?? 0n);
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
    const settings = sql<{ version: string; encoding: string }>`
      SELECT current_setting('server_version_num') AS version,
        current_setting('server_encoding') AS encoding`;
    const row = await this.row(settings).catch(prefixed('get postgres server version'));
    const found = Number(row?.version);
    const encoding = row?.encoding;
    if (found < MIN_VERSION) throw new Error(`postgres server version too old: ${found}`);
    // With SQL_ASCII, a path that is not text may be stored, and then notifications and reads of it
    // fail.
    if (encoding === 'SQL_ASCII')
      throw new Error(
        `the encoding of the database is ${encoding}, but Praefect needs UTF8. Create it with: ` +
          "CREATE DATABASE praefect_production ENCODING 'UTF8' TEMPLATE template0",
      );
  }

  /** @throws {Error} for a database whose schema was never created, with what to do. */
  async checkTables(): Promise<void> {
    const row = await this.row(sql<{ found: boolean }>`
      SELECT to_regclass('repositories') IS NOT NULL AS found`);
    if (row?.found !== true)
      throw new Error(
        "the database has no tables of Praefect: create them with 'praefect --config FILE sql-migrate'",
      );
  }

  /**
   * Returns a name that depends on the text: other versions of Praefect may prepare other
   * statements behind the same pooler.
   */
  #nameOf(name: string, text: string): string {
    let full = this.#names.get(name);
    if (full === undefined) {
      full = `${name}_${createHash('sha1').update(text).digest('hex').slice(0, 8)}`;
      this.#names.set(name, full);
    }
    return full;
  }

  async #query<Row>(query: QueryConfig): Promise<{ readonly rows: Row[] }> {
    const client = await this.#pool.connect();
    try {
      return await client.query<QueryResultRow & Row>(query);
    } finally {
      client.release();
    }
  }

  /** Runs a statement, on another connection if the server had closed the first one before. */
  async #execute<Result>(run: () => Promise<Result>): Promise<Result> {
    for (let closed = 0; ; closed++) {
      try {
        return await run();
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
function poolOf(
  settings: ConnectionSettings,
  { limitMs, max }: { limitMs: number | undefined; max: number },
): Pool {
  const limit: StatementLimit = { limitMs };
  const pool = new Pool({
    ...clientConfig(settings),
    ...limit,
    Client: LimitedClient,
    max,
    idleTimeoutMillis: IDLE_TIMEOUT_MS,
    maxLifetimeSeconds: MAX_AGE_SECONDS,
    allowExitOnIdle: true,
  });
  // The pool has dropped the idle connection that failed; statements report their own errors.
  pool.on('error', () => {});
  // The client's errors have no other listener while a statement runs.
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

function kyselyOf(pool: Pool): Kysely<unknown> {
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

/**
 * Codes of statements that a pooler has prepared on another connection, or for another client. They
 * were not executed.
 */
const OF_OTHER_CLIENTS: ReadonlySet<unknown> = new Set(['26000', '42P05']);

function isOfOtherClient(error: unknown): boolean {
  return error instanceof DatabaseError && OF_OTHER_CLIENTS.has(error.code);
}

/**
 * Returns the message of a failed connection. Node reports several refused addresses of a host as
 * one error without a message.
 */
function connectMessage(error: unknown): string {
  return error instanceof AggregateError ? error.errors.map(messageOf).join(', ') : messageOf(error);
}
