import { closeSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import {
  createServer as createTlsServer,
  type SecureContextOptions,
  type TLSSocket,
  type Server as TlsServer,
} from 'node:tls';
import { timeLeftMs } from '#base/async/time-left';
import { GitalyError } from '#base/gitaly-error';
import { joinHostPort } from '#base/go/net/host-port';
import { systemErrorText } from '#base/go/system-error';
import { descriptorOf } from '#base/streams/stream-handle';
import {
  type InheritedSocket,
  type ListeningSocket,
  listenOn,
  type SocketName,
  type TakeSocket,
  tcpSocketName,
  unixSocketName,
} from '#platform/process/handover/listening-socket';
import type { Peer } from '../handler.ts';
import { ACCEPT_BACKLOG, FIRST_BYTES_MS, HANDSHAKE_TIMEOUT_MS } from './connection-limits.ts';
import { TlsHandshakes } from './tls-handshakes.ts';
import { inheritSocketFile, placeSocketFile, type SocketFile } from './unix-socket-file.ts';

/** An address to listen on. `internal` is a Unix socket for our own child processes. */
export type ListenTarget =
  | { readonly transport: 'unix' | 'internal'; readonly path: string }
  | { readonly transport: 'tcp'; readonly host: string; readonly port: number }
  | {
      readonly transport: 'tls';
      readonly host: string;
      readonly port: number;
      readonly tls: SecureContextOptions;
    };

export interface ListenerOptions {
  /**
   * Handles each connection, after the TLS handshake if there is one. It must listen for errors.
   */
  onConnection(connection: Duplex, peer: Omit<Peer, 'backchannelId'>): void;
  /** Called at each accept, before any handshake: `gitaly_connections_total`. */
  onAccept?(transport: Peer['transport']): void;
  /** Called when a connection cannot be accepted (too many open files); the listener continues. */
  onAcceptError?(error: Error, transport: Peer['transport']): void;
  /** Default 120 s. */
  readonly tlsHandshakeTimeoutMs?: number;
  /** Returns the socket of an address if this process has inherited one. */
  readonly takeSocket?: TakeSocket;
  /** How the processes of a server share its connections, if there can be several. */
  readonly sharing?: ConnectionSharing | undefined;
}

/** Connections of clients are accepted by one process of a server, which may hand them over. */
export type ConnectionSharing =
  | {
      readonly role: 'supervisor';
      /**
       * Hands over a new connection of which nothing has been read. Returns false if it stays here.
       *
       * @param takeBack serves it here after all.
       */
      handOver(socket: Socket, transport: 'unix' | 'tcp' | 'tls', takeBack: () => void): boolean;
    }
  /** Listens only for its own child processes; connections come by {@link Listener.receive}. */
  | { readonly role: 'worker' };

const ALPN_HTTP2 = 'h2';

/** A listening socket with its connections. */
export class Listener {
  readonly transport: Peer['transport'];
  readonly #server: Server;
  readonly #options: ListenerOptions;
  readonly #sockets = new Set<Socket>();
  readonly #tls: TlsServer | undefined;
  readonly #handshakes: TlsHandshakes;
  #socketFile: SocketFile | undefined;
  #address = '';
  readonly #name: SocketName | undefined;
  #inherited: InheritedSocket | undefined;
  #acceptedAtMs = Number.NEGATIVE_INFINITY;

  private constructor(target: ListenTarget, options: ListenerOptions) {
    this.transport = target.transport;
    this.#name = nameOf(target);
    this.#options = options;
    this.#handshakes = new TlsHandshakes({
      begin: (socket) => this.#tls?.emit('connection', socket),
      timeoutMs: options.tlsHandshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS,
    });
    this.#tls = target.transport === 'tls' ? this.#tlsServer(target.tls) : undefined;
    const { sharing } = options;
    const isShared = sharing?.role === 'supervisor' && target.transport !== 'internal';
    this.#server = createServer(
      // Small requests and responses must not wait for each other's ACKs.
      { noDelay: true, allowHalfOpen: false, pauseOnConnect: isShared },
      (socket) => (isShared ? this.#share(socket, sharing.handOver) : this.#accept(socket)),
    );
  }

  /**
   * Starts listening. Replaces a socket file left by a dead process.
   * @throws {GitalyError} INTERNAL with Go's text: `listen unix /path: bind: address already in
   *   use`
   */
  static async listen(target: ListenTarget, options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(target, options);
    try {
      await listener.#listen(target);
    } catch (error) {
      await listener.stop();
      const where =
        'path' in target ? `unix ${target.path}` : `tcp ${joinHostPort(target.host, target.port)}`;
      throw new GitalyError('INTERNAL', `listen ${where}: bind: ${systemErrorText(error)}`, { cause: error });
    }
    listener.#server.on('error', (error) => options.onAcceptError?.(error, listener.transport));
    return listener;
  }

  /** Address for clients: a path, or `host:port` with the real port. */
  get address(): string {
    return this.#address;
  }

  /** Number of open connections, including those in a handshake. */
  get connectionCount(): number {
    return this.#sockets.size;
  }

  /** The socket for a successor; `undefined` for the internal one, and when it is closed. */
  get socket(): ListeningSocket | undefined {
    const fd = descriptorOf(this.#server);
    if (this.#name === undefined || fd === undefined) return undefined;
    return {
      name: this.#name,
      fd,
      keepsFile: this.#inherited?.keepsFile ?? false,
      handOver: () => {
        this.#socketFile = undefined;
      },
    };
  }

  /** Serves a connection that another process has accepted. */
  receive(socket: Socket): void {
    socket.setNoDelay(true);
    this.#accept(socket);
  }

  /** Uses another certificate for new connections. Does nothing on a listener without TLS. */
  renewTls(tls: SecureContextOptions): void {
    this.#tls?.setSecureContext(tls);
  }

  /**
   * Stops accepting connections and removes the socket file. Open connections continue. It can be
   * called again.
   */
  async stop(): Promise<void> {
    // Without waiting for the callback, which is called after the last connection.
    this.#server.close();
    await this.#socketFile?.remove();
  }

  /** Stops, and gives the newest connections time for their first bytes. */
  async stopForDrain(): Promise<void> {
    await this.stop();
    await delay(timeLeftMs(this.#acceptedAtMs + FIRST_BYTES_MS));
  }

  /** Stops and closes all connections. */
  async destroy(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await this.stop();
  }

  async #listen(target: ListenTarget): Promise<void> {
    if (this.#options.sharing?.role === 'worker' && target.transport !== 'internal') return;
    if (this.#name !== undefined && target.transport !== 'internal')
      this.#inherited = this.#options.takeSocket?.(this.#name, target.transport);
    const inherited = this.#inherited;
    const fd = inherited?.fd;
    if ('path' in target) {
      if (inherited !== undefined)
        this.#socketFile = await inheritSocketFile(target.path, () => inherited.keepsFile);
      if (fd !== undefined && this.#socketFile !== undefined)
        await listenOn(this.#server, fd, ACCEPT_BACKLOG);
      else {
        if (fd !== undefined) closeSync(fd); // it could not be reached any more
        this.#inherited = undefined;
        this.#socketFile = await placeSocketFile(target.path, (path) => listening(this.#server, { path }));
      }
      this.#address = target.path;
      return;
    }
    // An empty host means all interfaces, as in Go's ":8075".
    const host = target.host === '' ? {} : { host: target.host };
    if (fd !== undefined) await listenOn(this.#server, fd, ACCEPT_BACKLOG);
    else await listening(this.#server, { port: target.port, ...host });
    const bound = this.#server.address();
    this.#address =
      typeof bound === 'object' && bound !== null ? joinHostPort(bound.address, bound.port) : '';
  }

  /** Hands a connection over, or serves it here. It has not been read. */
  #share(socket: Socket, handOver: Extract<ConnectionSharing, { role: 'supervisor' }>['handOver']): void {
    const { transport } = this;
    const serve = (): void => {
      // Restores what `pauseOnConnect` has set, as if the socket had not been paused.
      Reflect.set(socket, 'readableFlowing', null);
      this.#accept(socket);
      socket.read(0);
    };
    if (transport === 'internal' || !handOver(socket, transport, serve)) serve();
  }

  #accept(socket: Socket): void {
    this.#acceptedAtMs = performance.now();
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    this.#options.onAccept?.(this.transport);
    if (this.#tls === undefined) this.#options.onConnection(socket, this.#peer(socket));
    else this.#handshakes.add(socket);
  }

  /** Returns a TLS server for handshakes on accepted sockets; it does not listen itself. */
  #tlsServer(certificate: SecureContextOptions): TlsServer {
    const server = createTlsServer({
      ...certificate,
      handshakeTimeout: this.#options.tlsHandshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS,
      // Clients that offer h2 get it. Clients without ALPN are served too; those that offer only
      // other protocols get an error.
      ALPNCallback: ({ protocols }) => (protocols.includes(ALPN_HTTP2) ? ALPN_HTTP2 : undefined),
    });
    server.on('secureConnection', (secured) => this.#options.onConnection(secured, this.#peer(secured)));
    // No call has started, so the error cannot be reported.
    server.on('tlsClientError', (_error, secured: TLSSocket) => secured.destroy());
    return server;
  }

  #peer(socket: Socket): Omit<Peer, 'backchannelId'> {
    const isTcp = this.transport === 'tcp' || this.transport === 'tls';
    // A dual-stack socket shows IPv4 clients as IPv6 ones; logs and limits by address need the
    // plain form.
    const host = socket.remoteAddress?.replace(/^::ffff:/, '') ?? '';
    return { transport: this.transport, address: isTcp ? joinHostPort(host, socket.remotePort ?? 0) : '' };
  }
}

function nameOf(target: ListenTarget): SocketName | undefined {
  if (target.transport === 'internal') return undefined;
  return 'path' in target ? unixSocketName(target.path) : tcpSocketName(target);
}

async function listening(
  server: Server,
  where: { path: string } | { host?: string; port: number },
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // This listener stays: it handles errors before the caller listens.
  server.on('error', reject);
  server.listen({ ...where, backlog: ACCEPT_BACKLOG }, resolve);
  await promise;
}
