import { describeJsonError } from '#base/go/encoding/json-error';
import { JsonFields } from '#base/json-fields';
import { type Connection, Pool } from '#client/index';

export interface ServerAddress {
  readonly address: string;
  /** Empty for a server without a token. */
  readonly token: string;
}

/**
 * Reads the servers of storages from the variable GITALY_SERVERS: JSON in base64.
 *
 * @returns `undefined` if it is not set.
 * @throws {Error} `injecting GITALY_SERVERS: …`
 */
export function readServers(value: string | undefined): ReadonlyMap<string, ServerAddress> | undefined {
  if (value === undefined || value === '') return undefined;
  if (/[^A-Za-z0-9+/=\s]/.test(value))
    throw new Error('injecting GITALY_SERVERS: failed decoding base64: it has other characters');
  const json = Buffer.from(value, 'base64').toString();
  const servers = JsonFields.parse(json);
  if (servers === undefined) {
    // That of JSON.parse quotes the text, which contains tokens.
    const problem = describeJsonError(json, 'document') ?? 'it is no object';
    throw new Error(`injecting GITALY_SERVERS: failed unmarshalling json: ${problem}`);
  }
  return new Map(servers.entries().map(([storage, fields]) => [storage, addressIn(JsonFields.of(fields))]));
}

/** Returns address and token of a JSON object; absent ones are empty. */
export function addressIn(fields: JsonFields | undefined): ServerAddress {
  return { address: fields?.text('address') ?? '', token: fields?.text('token') ?? '' };
}

/** Connections to servers, which are opened when they are first needed. */
export class Servers implements AsyncDisposable {
  /** The servers in the environment, by storage. */
  readonly known: ReadonlyMap<string, ServerAddress> | undefined;
  readonly #pool = new Pool();

  constructor(known: ReadonlyMap<string, ServerAddress> | undefined) {
    this.known = known;
  }

  /**
   * Returns the connection to a storage.
   *
   * @param given server in the job, which takes precedence.
   * @throws {Error} if neither names one.
   */
  async of(storageName: string, given?: ServerAddress): Promise<Connection> {
    const server = given !== undefined && (given.address || given.token) ? given : this.#known(storageName);
    return await this.#pool.dial(server.address, server.token);
  }

  /** Returns a storage with its server: all of them store their backups in one place. */
  any(): { readonly storageName: string; readonly server: ServerAddress } {
    const [first] = this.known ?? [];
    if (first === undefined)
      throw new Error('extract gitaly servers: set GITALY_SERVERS to the servers of the storages');
    return { storageName: first[0], server: first[1] };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#pool.close();
  }

  #known(storageName: string): ServerAddress {
    if (this.known === undefined)
      throw new Error('set context server info: empty metadata: the job and GITALY_SERVERS name no server');
    const server = this.known.get(storageName);
    if (server === undefined) throw new Error('set context server info: storage name not found');
    return server;
  }
}
