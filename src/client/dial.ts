import { checkNames } from '#base/check-names';
import { Connection } from './connection.ts';
import { dialBare } from './dial-bare.ts';
import { DIAL_NAMES, type DialOptions } from './dial-options.ts';

/** A function that creates connections: `dial` or a wrapper of it. */
export type Dialer = (address: string, options?: DialOptions) => Promise<Connection>;

/**
 * Creates a connection. Nothing is opened before the first call unless
 * `failOnNonTemporaryDialError` is set, so an unavailable server causes UNAVAILABLE at the first
 * call.
 *
 * @throws {GitalyError} INVALID_ARGUMENT for a malformed address; the error of unreadable TLS
 *   files. {TypeError} for an option that does not exist, with the nearest name.
 */
export async function dial(address: string, options: DialOptions = {}): Promise<Connection> {
  checkNames('dial', options, DIAL_NAMES);
  return new Connection(await dialBare(address, options));
}
