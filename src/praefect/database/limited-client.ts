import { Client, type ClientConfig, types } from 'pg';
import { waitAtMost } from '#base/async/wait-at-most';
import { messageOf } from '#base/gitaly-error';
import type { ConnectionSettings } from './connection-settings.ts';

/** How long to wait for a connection of a pool, or until a new one is ready for statements. */
const CONNECT_TIMEOUT_MS = 30_000;
/** Limit of statements that need no table. */
const SHORT_STATEMENT_MS = 5000;
/** How long the server may take to close a connection. */
const CLOSE_TIMEOUT_MS = 1000;
/** OID of bigint. */
const INT8 = 20;

export interface StatementLimit {
  /** After this time a statement fails and the connection is closed. `undefined` for no limit. */
  readonly limitMs: number | undefined;
}

/**
 * A connection that closes when the server does not respond to a statement in time. A network that
 * swallows packets reports nothing, and a statement limit of the server would be of no use.
 */
export class LimitedClient extends Client {
  readonly #limitMs: number | undefined;
  /** Reason for which the client was closed. Rolling back a transaction then fails with it, too. */
  #failure: Error | undefined;

  constructor(config: ClientConfig & Partial<StatementLimit> = {}) {
    super(config);
    this.#limitMs = config.limitMs;
  }

  // The methods of the base class have many signatures: all of them with a promise pass through.
  override query = (async (...args: [never]) => {
    if (this.#limitMs === undefined) return await super.query(...args);
    using _timer = setTimeout(() => {
      this.#failure = new Error(`the database did not respond in ${this.#limitMs} ms`);
      void this.end().catch(() => {}); // it destroys the socket of a running statement
    }, this.#limitMs);
    try {
      return await super.query(...args);
    } catch (error) {
      throw this.#failure ?? error;
    }
  }) as Client['query'];
}

/** Opens a dedicated connection, for LISTEN and similar statements, with a limit of 5 s each. */
export async function connectClient(settings: ConnectionSettings): Promise<Client> {
  const client = new LimitedClient({ ...clientConfig(settings), limitMs: SHORT_STATEMENT_MS });
  try {
    await client.connect();
  } catch (error) {
    await client.end().catch(() => {}); // it was never connected
    if (settings.ssl === false || !settings.mayFallBack || !isWithoutTls(error)) throw error;
    return await connectClient({ ...settings, ssl: false });
  }
  return client;
}

/** Closes a connection, whether the server still responds or not. */
export async function closeClient(client: Client): Promise<void> {
  // A connection that fails to close counts as closed.
  await waitAtMost(
    client.end().catch(() => {}),
    CLOSE_TIMEOUT_MS,
  );
}

export function clientConfig({ mayFallBack: _, ...settings }: ConnectionSettings): ClientConfig {
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

function isWithoutTls(error: unknown): boolean {
  return messageOf(error) === 'The server does not support SSL connections';
}
