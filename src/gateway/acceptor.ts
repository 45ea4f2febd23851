import { createServer, type Server, type Socket } from 'node:net';
import { listeningPort } from '#base/network/listening-port';
import { ClientSlots } from './client-slots.ts';
import type { GatewaySharing } from './family.ts';
import { type ListenAddress, listen } from './listen.ts';

export interface ConnectionLimits {
  readonly maxConnections: number;
  /** By default there is no separate limit. */
  readonly maxConnectionsPerAddress?: number;
}

export interface AcceptorOptions {
  readonly limits: ConnectionLimits;
  /** A client may close its sending side first, and still receives the response. */
  readonly allowHalfOpen: boolean;
  /** Serves a connection in this process. */
  serve(socket: Socket): void;
  /** Refuses one beyond the limits. */
  refuse(socket: Socket): void;
  /** How the processes of the server share connections, if there can be several. */
  readonly sharing: GatewaySharing | undefined;
}

/**
 * The connections of a gateway: accepts and counts them, and serves each in this process or hands
 * it to another one.
 */
export class Acceptor {
  readonly #options: AcceptorOptions;
  readonly #slots: ClientSlots;
  readonly #server: Server;
  readonly #served = new Set<Socket>();
  readonly #end = Promise.withResolvers<void>();
  #isClosing = false;

  constructor(options: AcceptorOptions) {
    this.#options = options;
    const { maxConnections: total, maxConnectionsPerAddress: perClient = total } = options.limits;
    this.#slots = new ClientSlots({ total, perClient }, (address) => address);
    const { allowHalfOpen, sharing } = options;
    const pauseOnConnect = sharing?.role === 'supervisor';
    this.#server = createServer({ allowHalfOpen, noDelay: true, pauseOnConnect }, (socket) =>
      this.#accept(socket),
    );
  }

  /** Number of connections that this process serves. */
  get connections(): number {
    return this.#served.size;
  }

  /**
   * Listens at an address, and returns the port.
   *
   * @param onError called for connections that cannot be accepted later.
   * @throws the system's error when it cannot listen at the address.
   */
  async listen(address: ListenAddress, onError: (error: unknown) => void): Promise<number> {
    await listen(this.#server, address, onError);
    return listeningPort(this.#server);
  }

  /** Serves a connection that another process has accepted and counted. */
  receive(socket: Socket): void {
    // What a socket loses on its way.
    socket.allowHalfOpen = this.#options.allowHalfOpen;
    socket.setNoDelay(true);
    if (this.#isClosing) socket.destroy();
    else this.#serve(socket);
  }

  /** Accepts no more connections. Resolves when those that this process serves are closed. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#server.close();
    this.#checkEnd();
    await this.#end.promise;
  }

  /** Closes all connections that this process serves. */
  destroy(): void {
    for (const socket of this.#served) socket.destroy();
  }

  #accept(socket: Socket): void {
    const slot = this.#slots.take(socket.remoteAddress);
    if (typeof slot === 'string') {
      this.#options.refuse(socket);
      return;
    }
    const onClosed = (): void => slot[Symbol.dispose]();
    const { sharing } = this.#options;
    if (sharing?.role !== 'supervisor') {
      this.#serve(socket, onClosed);
      return;
    }
    const takeBack = (): void => {
      // Resets what `pauseOnConnect` sets, as if the socket had not been paused.
      Reflect.set(socket, 'readableFlowing', null);
      this.#serve(socket, onClosed);
      socket.read(0);
    };
    if (!sharing.handOver(socket, { takeBack, onClosed })) takeBack();
  }

  #serve(socket: Socket, onClosed?: () => void): void {
    this.#served.add(socket);
    socket.once('close', () => {
      onClosed?.();
      this.#served.delete(socket);
      this.#checkEnd();
    });
    this.#options.serve(socket);
  }

  #checkEnd(): void {
    if (this.#isClosing && this.#served.size === 0) this.#end.resolve();
  }
}
