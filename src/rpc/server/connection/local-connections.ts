import type { Duplex } from 'node:stream';
import { createDuplexPair } from '#base/streams/duplex-pair';
import type { ListenerOptions } from './listener.ts';

/** Connections of clients in this process. Disposing closes them. */
export class LocalConnections implements Disposable {
  readonly #options: Pick<ListenerOptions, 'onAccept' | 'onConnection'>;
  readonly #open = new Set<Duplex>();
  #isStopped = false;

  constructor(options: Pick<ListenerOptions, 'onAccept' | 'onConnection'>) {
    this.#options = options;
  }

  /** Opens a connection and returns the client's end. @throws {Error} after {@link stop}. */
  open(): Duplex {
    if (this.#isStopped) throw new Error('the server has stopped');
    const [client, server] = createDuplexPair();
    this.#open.add(server);
    server.once('close', () => this.#open.delete(server));
    this.#options.onAccept?.('unix');
    this.#options.onConnection(server, { transport: 'unix', address: '', isLocal: true });
    return client;
  }

  /** Refuses further connections. */
  stop(): void {
    this.#isStopped = true;
  }

  [Symbol.dispose](): void {
    this.stop();
    for (const connection of this.#open) connection.destroy();
  }
}
