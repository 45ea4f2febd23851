import { Duplex } from 'node:stream';
import type { OpenSession } from '#rpc/common/grpc/grpc-channel';
import { Connection } from './connection.ts';
import { dialBare } from './dial-bare.ts';
import type { DialOptions } from './dial-options.ts';

export interface LocalDialOptions extends Omit<DialOptions, 'keepalive' | 'maxChannels' | 'tls'> {
  /** Opens a session of the server: `GitalyServer.openSession`. @throws {Error} when it stops. */
  readonly openSession: OpenSession;
}

/**
 * Dials a server in this process, whose calls then need no HTTP/2. They cannot have sidechannels.
 *
 * @param address for errors.
 */
export async function dialLocal(address: string, options: LocalDialOptions): Promise<Connection> {
  return new Connection(await dialBare(address, { ...options, connect: noBytes, keepalive: false }));
}

/** Returns the connection of a session that sends no bytes. */
function noBytes(): Duplex {
  return new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() });
}
