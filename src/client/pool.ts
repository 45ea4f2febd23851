import { checkNames } from '#base/check-names';
import { invalidArgument, wrap } from '#base/gitaly-error';
import { tokenCredentials } from './call/token-credentials.ts';
import type { Connection } from './connection.ts';
import { type Dialer, dial } from './dial.ts';
import { DIAL_NAMES, type DialOptions } from './dial-options.ts';

/** A connection as its users see it, and as the pool sees it. */
interface Shared {
  readonly owned: Connection;
  readonly shared: Connection;
}

/**
 * Shares one connection among all users of the same address and token. The pool owns its
 * connections: `close` and `await using` of a user have no effect. After its `close` the pool is
 * empty and can be used again.
 */
export class Pool implements AsyncDisposable {
  readonly #dialer: Dialer;
  readonly #dialOptions: DialOptions;
  readonly #connections = new Map<string, Promise<Shared>>();
  /** The connections that exist already, by the same keys. */
  readonly #dialed = new Map<string, Connection>();

  constructor(options: { dialer?: Dialer; dialOptions?: DialOptions } = {}) {
    checkNames('Pool', options, { dialer: true, dialOptions: { ...DIAL_NAMES } });
    this.#dialer = options.dialer ?? dial;
    this.#dialOptions = options.dialOptions ?? {};
  }

  /** Number of connections in the pool. */
  get size(): number {
    return this.#connections.size;
  }

  /**
   * Returns the connection for an address and a token, which are compared as text. It is created
   * once, at the first request, even if several arrive at the same time.
   *
   * @throws {GitalyError} INVALID_ARGUMENT `address is empty`; `could not dial source: …`, after
   *   which nothing is kept.
   */
  async dial(address: string, token = ''): Promise<Connection> {
    if (address === '') throw invalidArgument('address is empty');
    const key = connectionKey(address, token);
    const { shared } = await (this.#connections.get(key) ?? this.#open(key, address, token));
    return shared;
  }

  /** Returns the connection that `dial` would return, if it exists already. */
  dialed(address: string, token = ''): Connection | undefined {
    return this.#dialed.get(connectionKey(address, token));
  }

  #open(key: string, address: string, token: string): Promise<Shared> {
    const credentials = token === '' ? {} : { credentials: tokenCredentials(token) };
    const opening = this.#dialer(address, { ...this.#dialOptions, ...credentials }).then(
      (owned) => {
        const shared = owned.share();
        if (this.#connections.get(key) === opening) this.#dialed.set(key, shared);
        return { owned, shared };
      },
      (error) => {
        if (this.#connections.get(key) === opening) this.#connections.delete(key);
        throw wrap(error, 'could not dial source');
      },
    );
    this.#connections.set(key, opening);
    return opening;
  }

  /** Closes all connections. Throws the first error after closing all. */
  async close(): Promise<void> {
    const connections = [...this.#connections.values()];
    this.#connections.clear();
    this.#dialed.clear();
    const dialed = await Promise.allSettled(connections);
    const closed = await Promise.allSettled(
      dialed.map((result) => (result.status === 'fulfilled' ? result.value.owned.close() : undefined)),
    );
    const failure = closed.find((result) => result.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Returns the key of a connection. NUL separates its parts, because an address contains none. */
function connectionKey(address: string, token: string): string {
  return `${address}\0${token}`;
}
