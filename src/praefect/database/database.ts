import { setImmediate as nextTurn } from 'node:timers/promises';
import { Kysely, PostgresDialect, type QueryResult, type RawBuilder, sql, type Transaction } from 'kysely';
import { Client, type ClientConfig, DatabaseError, Pool, types } from 'pg';
import { messageOf } from '#base/gitaly-error';
import { isError } from '#base/is-error';
import type { ConnectionSettings } from './connection-settings.ts';

export { sql } from 'kysely';
export type { Client } from 'pg';

/** Where a statement runs: the pool, or a transaction. */
export type Executor = Kysely<unknown> | Transaction<unknown>;

/** Connections of one Praefect. */
const MAX_CONNECTIONS = 20;
const IDLE_TIMEOUT_MS = 60_000;
/** How long to wait for a connection of the pool, or a new one. */
const CONNECT_TIMEOUT_MS = 30_000;
/** The oldest supported server, as PostgreSQL numbers them. */
const MIN_VERSION = 110_000;
/** OID of bigint. */
const INT8 = 20;

/**
 * The pool of connections to PostgreSQL. It keeps no state in a session and prepares no statements
 * by name, so a pooler for transactions may be between. A lost connection is replaced at the next
 * statement.
 */
export class Database implements AsyncDisposable {
  readonly #kysely: Kysely<unknown>;

  private constructor(pool: Pool) {
    this.#kysely = new Kysely({ dialect: new PostgresDialect({ pool }) });
  }

  /**
   * Connects.
   *
   * @throws {Error} `send ping: …` when the server cannot be reached within 30 s.
   */
  static async open(settings: ConnectionSettings): Promise<Database> {
    const working = await probe(settings);
    const pool = new Pool({
      ...clientConfig(working),
      max: MAX_CONNECTIONS,
      idleTimeoutMillis: IDLE_TIMEOUT_MS,
      allowExitOnIdle: true,
    });
    // The pool has dropped the idle connection that failed; statements report their own errors.
    pool.on('error', () => {});
    // While a client runs a statement, its errors have no other listener.
    pool.on('connect', (client) => client.on('error', () => {}));
    return new Database(pool);
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
    return await this.transaction(async (executor) => {
      await sql`SELECT set_config('statement_timeout', ${String(Math.ceil(timeoutMs))}, true)`.execute(
        executor,
      );
      return (await statement.execute(executor)).rows;
    });
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

  /** @throws {Error} for a server that is too old. */
  async checkVersion(): Promise<void> {
    let found: number;
    try {
      const [row] = await this.rows(sql<{ server_version_num: string }>`SHOW server_version_num`);
      found = Number(row?.server_version_num);
    } catch (error) {
      throw new Error(`get postgres server version: ${messageOf(error)}`, { cause: error });
    }
    if (found < MIN_VERSION) throw new Error(`postgres server version too old: ${found}`);
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
    await this.#kysely.destroy();
  }
}

/** Opens one connection of its own, for LISTEN. */
export async function connectClient(settings: ConnectionSettings): Promise<Client> {
  const client = new Client(clientConfig(settings));
  try {
    await client.connect();
  } catch (error) {
    await client.end().catch(() => {}); // it never was connected
    if (settings.ssl === false || !settings.mayFallBack || !isWithoutTls(error)) throw error;
    return await connectClient({ ...settings, ssl: false });
  }
  return client;
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
    await client.end();
    return isPlain ? { ...settings, ssl: false } : settings;
  } catch (error) {
    throw new Error(`send ping: ${connectMessage(error)}`, { cause: error });
  }
}

function clientConfig({ mayFallBack: _, ...settings }: ConnectionSettings): ClientConfig {
  return {
    ...settings,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    application_name: 'praefect',
    // Ids and generations stay below 2^53.
    types: {
      getTypeParser: (oid: number, format?: 'text' | 'binary') =>
        oid === INT8 ? Number : types.getTypeParser(oid, format as 'text'),
    },
  };
}

/**
 * Codes of connections that the server closed before it executed the statement: while it was idle,
 * or as an administrator's command, which rolls back what runs.
 */
const CLOSED: ReadonlySet<unknown> = new Set(['EPIPE', '57P01']);

function isNotExecuted(error: unknown): boolean {
  return isError(error) && 'code' in error && CLOSED.has(error.code);
}

function isWithoutTls(error: unknown): boolean {
  return messageOf(error) === 'The server does not support SSL connections';
}

/** Node reports several refused addresses of a host as one error without a message. */
function connectMessage(error: unknown): string {
  return error instanceof AggregateError ? error.errors.map(messageOf).join(', ') : messageOf(error);
}
