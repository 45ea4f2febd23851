import { once } from 'node:events';
import type { Server } from 'node:net';

/**
 * Identifies a configured address: `unix:<path>` or `tcp:<host>:<port>`. TLS is TCP here: only the
 * socket is passed on.
 */
export type SocketName = `unix:${string}` | `tcp:${string}`;

/** A socket that this process listens on and can pass to its successor. */
export interface ListeningSocket {
  readonly name: SocketName;
  readonly fd: number;
  /** True if the file of a Unix socket belongs to systemd, which removes it. */
  readonly keepsFile: boolean;
  /** Leaves the socket's file to the successor, which listens there from now on. */
  handOver(): void;
}

/** An open descriptor of a socket that already listens. */
export interface InheritedSocket {
  readonly fd: number;
  /**
   * True if this process must not remove the file of the Unix socket: it is systemd's, or still the
   * predecessor's, which continues if this process fails to start.
   */
  readonly keepsFile: boolean;
}

/** Returns an inherited socket for a configured address; each one is returned once. */
export type TakeSocket = (name: SocketName, role: SocketRole) => InheritedSocket | undefined;

/** Key of the configuration with the address, which is also the name for systemd. */
export type SocketRole = 'unix' | 'tcp' | 'tls' | 'metrics';

export function unixSocketName(path: string): SocketName {
  return `unix:${path}`;
}

export function tcpSocketName({ host, port }: { host: string; port: number }): SocketName {
  return `tcp:${host}:${port}`;
}

/** Makes a server listen on a descriptor, which it owns from then on. */
export async function listenOn(server: Server, fd: number, backlog: number): Promise<void> {
  await once(server.listen({ fd }, backlog), 'listening');
}
