import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * State of a link. `dropped`: bytes vanish silently, also on new connections, as in a partition;
 * `closed`: connections end and new ones are refused.
 */
export type LinkState = 'open' | 'dropped' | 'closed';

/** A network connection between two programs that can be disturbed. */
export class FaultyLink implements AsyncDisposable {
  /** `unix:<path>` or `tcp://127.0.0.1:<port>` */
  readonly address: string;
  /** Time for which bytes are on their way in each direction. */
  delayMs = 0;
  /** Called with what passes to the server, before it passes; false drops it and what follows. */
  onRequest: (chunk: Buffer) => boolean = () => true;
  /** As `onRequest`, for what passes from the server. */
  onResponse: (chunk: Buffer) => boolean = () => true;
  readonly #target: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #state: LinkState = 'open';

  private constructor(target: string, server: Server, address: string) {
    this.#target = target;
    this.#server = server;
    this.address = address;
    server.on('connection', (near: Socket) => this.#join(near));
  }

  /**
   * @param target path of a Unix socket
   * @param path of the new Unix socket; without one it listens on a port of the loopback.
   */
  static async start(target: string, path?: string): Promise<FaultyLink> {
    const server = createServer();
    if (path === undefined) server.listen(0, '127.0.0.1');
    else server.listen(path);
    await once(server, 'listening');
    const place = server.address();
    const address = typeof place === 'object' ? `tcp://127.0.0.1:${place?.port}` : `unix:${place}`;
    return new FaultyLink(target, server, address);
  }

  /** Bytes that were dropped do not come back: opening a dropped link ends its connections. */
  set state(state: LinkState) {
    if (state === 'closed' || (this.#state === 'dropped' && state === 'open')) this.cut();
    this.#state = state;
  }

  /** Closes the open connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(near: Socket): void {
    if (this.#state === 'closed') {
      near.destroy();
      return;
    }
    const far = connect({ path: this.#target });
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.on('error', () => {}); // the other end learns of it by the close
      socket.on('close', () => {
        this.#sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    void this.#pass(near, far, (chunk) => this.onRequest(chunk));
    void this.#pass(far, near, (chunk) => this.onResponse(chunk));
  }

  /** Passes one chunk after the other: what waits is not read. */
  async #pass(from: Socket, to: Socket, mayPass: (chunk: Buffer) => boolean): Promise<void> {
    let isBroken = false;
    try {
      for await (const chunk of from) {
        if (this.delayMs > 0) await delay(this.delayMs);
        // The stream has no encoding.
        isBroken ||= this.#state === 'dropped' || !mayPass(chunk as Buffer);
        if (!isBroken && !to.write(chunk as Buffer))
          await Promise.race([once(to, 'drain'), once(to, 'close')]);
      }
      to.end();
    } catch {
      to.destroy(); // the connection has ended
    }
  }
}
