import { Connection } from './connection.ts';
import { dialBare } from './dial-bare.ts';
import type { DialOptions } from './dial-options.ts';

/** Makes connections; `dial` and what is built around it. */
export type Dialer = (address: string, options?: DialOptions) => Promise<Connection>;

/**
 * Makes a connection. Nothing is opened before the first call unless `failOnNonTemporaryDialError` is set, so a server that is not
 * there shows as UNAVAILABLE at the first call.
 *
 * @throws {GitalyError} INVALID_ARGUMENT for a malformed address; the reason for TLS material that cannot be read.
 */
export async function dial(address: string, options: DialOptions = {}): Promise<Connection> {
  return new Connection(await dialBare(address, options));
}
