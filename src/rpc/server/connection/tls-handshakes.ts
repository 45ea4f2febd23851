import type { Socket } from 'node:net';
import { NextTurn } from '#base/async/loop-turns';
import { HANDSHAKES_PER_TURN } from './connection-limits.ts';

export interface TlsHandshakesOptions {
  /** Begins the handshake on a socket whose first bytes have arrived. */
  begin(socket: Socket): void;
  /** A socket without any bytes for this long is closed. */
  readonly timeoutMs: number;
}

/**
 * Spreads TLS handshakes over iterations of the event loop: each takes milliseconds of computation,
 * and clients can begin thousands at once. A handshake begins when the client has sent something,
 * so that clients cannot wait until all are prepared; those that leave before cost nothing.
 */
export class TlsHandshakes {
  readonly #options: TlsHandshakesOptions;
  readonly #waiting = new Set<Socket>();
  readonly #turn = new NextTurn(() => this.#nextTurn());

  constructor(options: TlsHandshakesOptions) {
    this.#options = options;
  }

  add(socket: Socket): void {
    const timer = setTimeout(() => socket.destroy(), this.#options.timeoutMs).unref();
    socket.on('error', () => {}); // the close follows, and nothing waits for the connection yet
    socket.once('readable', () => {
      clearTimeout(timer);
      this.#waiting.add(socket);
      this.#turn.schedule();
    });
    socket.once('close', () => clearTimeout(timer));
  }

  #nextTurn(): void {
    let begun = 0;
    for (const socket of this.#waiting) {
      this.#waiting.delete(socket);
      if (socket.destroyed) continue;
      this.#options.begin(socket);
      begun++;
      if (begun === HANDSHAKES_PER_TURN) break;
    }
    if (this.#waiting.size > 0) this.#turn.schedule();
  }
}
