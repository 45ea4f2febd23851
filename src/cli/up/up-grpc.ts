import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Secret } from '#base/secret';
import { AddressError, type GrpcAddress, parseGrpcAddress } from '../listen-address.ts';
import { newToken } from './up-token.ts';

/** The listener for gRPC clients of `gitaly-ts up`. */
export interface UpGrpc {
  /** Keys of the server's configuration. */
  readonly listen: GrpcAddress | Record<never, never>;
  /** Token that clients need; `undefined` if only the socket in the directory is open. */
  readonly token: Secret | undefined;
  /** True if the Unix sockets need no token: only the owner of the directory reaches them. */
  readonly trustsUnixSockets: boolean;
}

/**
 * Parses the option. Over TCP every caller needs a token, because all users of the machine reach it
 * even on loopback: without one on the command line, a new one is made.
 *
 * @param text `HOST:PORT` or `unix:PATH`; default a socket in the directory.
 * @throws {AddressError}
 */
export function parseUpGrpc(text: string | undefined, token: Secret | undefined): UpGrpc {
  if (text === undefined) return { listen: {}, token: undefined, trustsUnixSockets: true };
  const listen = parseGrpcAddress(text);
  if ('listen_addr' in listen) return { listen, token: token ?? newToken(), trustsUnixSockets: true };
  const directory = dirname(listen.socket_path);
  if (!existsSync(directory)) {
    throw new AddressError(
      `--grpc ${text}: the directory ${directory} does not exist: create it, or choose another path`,
    );
  }
  return { listen, token, trustsUnixSockets: token === undefined };
}
