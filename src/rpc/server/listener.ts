import { createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer, type SecureContextOptions, type TLSSocket, type Server as TlsServer } from 'node:tls';
import { GitalyError } from '#base/gitaly-error';
import { systemErrorText } from '#base/system-error';
import { ACCEPT_BACKLOG, HANDSHAKE_TIMEOUT_MS } from './connection-limits.ts';
import type { Peer } from './handler.ts';
import { placeSocketFile, type SocketFile } from './unix-socket-file.ts';

/** Where to listen. `internal` is a Unix socket that only our own children know. */
export type ListenAddress =
  | { readonly transport: 'unix' | 'internal'; readonly path: string }
  | { readonly transport: 'tcp'; readonly host: string; readonly port: number }
  | { readonly transport: 'tls'; readonly host: string; readonly port: number; readonly tls: SecureContextOptions };

export interface ListenerOptions {
  /** Takes each connection, after the TLS handshake if there is one. It must listen for errors. */
  onConnection(connection: Duplex, peer: Omit<Peer, 'backchannelId'>): void;
  /** Called at each accept, before any handshake: `gitaly_connections_total`. */
  onAccept?(transport: Peer['transport']): void;
  /** A connection could not be accepted (too many open files); the listener goes on. */
  onAcceptError?(error: Error): void;
  /** Default 120 s. */
  readonly tlsHandshakeTimeoutMs?: number;
}

const ALPN_HTTP2 = 'h2';

/** A listening socket with its connections. */
export class Listener {
  readonly transport: Peer['transport'];
  readonly #server: Server;
  readonly #options: ListenerOptions;
  readonly #sockets = new Set<Socket>();
  readonly #tls: TlsServer | undefined;
  #socketFile: SocketFile | undefined;
  #address = '';

  private constructor(target: ListenAddress, options: ListenerOptions) {
    this.transport = target.transport;
    this.#options = options;
    this.#tls = target.transport === 'tls' ? this.#tlsServer(target.tls) : undefined;
    // Small requests and answers must not wait for each other's ACKs.
    this.#server = createServer({ noDelay: true, allowHalfOpen: false }, (socket) => this.#accept(socket));
  }

  /**
   * Starts listening. A socket file that a dead process left is replaced.
   * @throws {GitalyError} INTERNAL with Go's words: `listen unix /path: bind: address already in use`
   */
  static async listen(target: ListenAddress, options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(target, options);
    try {
      await listener.#listen(target);
    } catch (error) {
      await listener.stop();
      const where = 'path' in target ? `unix ${target.path}` : `tcp ${joinHostPort(target.host, target.port)}`;
      throw new GitalyError('INTERNAL', `listen ${where}: bind: ${systemErrorText(error)}`, { cause: error });
    }
    listener.#server.on('error', (error) => options.onAcceptError?.(error));
    return listener;
  }

  /** Where clients reach it: a path, or `host:port` with the real port. */
  get address(): string {
    return this.#address;
  }

  /** Open connections, those in a handshake too. */
  get connectionCount(): number {
    return this.#sockets.size;
  }

  /** Uses another certificate for new connections. */
  renewTls(tls: SecureContextOptions): void {
    this.#tls?.setSecureContext(tls);
  }

  /** Accepts no more and removes its socket file. Open connections go on. Safe to call again. */
  async stop(): Promise<void> {
    // Not waiting for the callback: it comes after the last connection.
    this.#server.close();
    await this.#socketFile?.remove();
  }

  /** Stops and cuts all connections. */
  async destroy(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await this.stop();
  }

  async #listen(target: ListenAddress): Promise<void> {
    if ('path' in target) {
      this.#socketFile = await placeSocketFile(target.path, (path) => listening(this.#server, { path }));
      this.#address = target.path;
      return;
    }
    // An empty host means all interfaces, as in Go's ":8075".
    const host = target.host === '' ? {} : { host: target.host };
    await listening(this.#server, { port: target.port, ...host });
    const bound = this.#server.address();
    this.#address = typeof bound === 'object' && bound !== null ? joinHostPort(bound.address, bound.port) : '';
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    this.#options.onAccept?.(this.transport);
    if (this.#tls === undefined) this.#options.onConnection(socket, this.#peer(socket));
    else this.#tls.emit('connection', socket);
  }

  /** Shakes hands on accepted sockets; it never listens itself. */
  #tlsServer(certificate: SecureContextOptions): TlsServer {
    const server = createTlsServer({
      ...certificate,
      handshakeTimeout: this.#options.tlsHandshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS,
      // Clients that offer h2 get it. Those that offer nothing are served too; those that offer only other things are told so.
      ALPNCallback: ({ protocols }) => (protocols.includes(ALPN_HTTP2) ? ALPN_HTTP2 : undefined),
    });
    server.on('secureConnection', (secured) => this.#options.onConnection(secured, this.#peer(secured)));
    // Nobody can be told: no call has begun.
    server.on('tlsClientError', (_error, secured: TLSSocket) => secured.destroy());
    return server;
  }

  #peer(socket: Socket): Omit<Peer, 'backchannelId'> {
    const isTcp = this.transport === 'tcp' || this.transport === 'tls';
    // A socket for both families shows IPv4 clients as IPv6 ones; logs and limits by address know them without that.
    const host = socket.remoteAddress?.replace(/^::ffff:/, '') ?? '';
    return { transport: this.transport, address: isTcp ? joinHostPort(host, socket.remotePort ?? 0) : '' };
  }
}

async function listening(server: Server, where: { path: string } | { host?: string; port: number }): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ ...where, backlog: ACCEPT_BACKLOG }, resolve);
  await promise;
  server.off('error', reject);
}

function joinHostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
