import type { Socket } from 'node:net';
import { LoopIteration, loopTurn } from '#base/async/loop-turns';
import { type Parse, replaceParse, type SshClient } from './ssh-library.ts';

/** Bytes that are parsed at once: few of a client that sends small packets, all of another one. */
const MIN_PIECE_BYTES = 1 << 10;
const FIRST_PIECE_BYTES = 8 << 10;
const MAX_PIECE_BYTES = 64 << 10;
/** Pieces that take longer become smaller, and those that take less time larger. */
const SLOW_MS = 2;
const FAST_MS = 0.5;

/**
 * Makes clients that send many packets take turns. A packet takes some hundredth of a millisecond,
 * whatever it asks for, and a socket may deliver two mebibytes, which are 60,000 packets, in one
 * iteration of the event loop. A client that has used its time waits for a later iteration, with
 * the rest of its bytes. Call it once the client has sent its first line.
 */
export function parseInTurns(client: SshClient, socket: Socket): void {
  replaceParse(client, (parse) => {
    const input = new SshInput(socket, parse);
    return (chunk, start, end) => input.take(chunk.subarray(start, end));
  });
}

class SshInput {
  readonly #socket: Socket;
  readonly #parse: Parse;
  #pieceBytes = FIRST_PIECE_BYTES;
  readonly #iteration = new LoopIteration();

  constructor(socket: Socket, parse: Parse) {
    this.#socket = socket;
    this.#parse = parse;
  }

  /** @throws errors of the library, which closes the connection then. */
  take(bytes: Buffer): void {
    for (let rest = bytes; rest.length > 0 && !this.#socket.destroyed; ) {
      if (this.#iteration.isOver) {
        this.#waitForTurn(rest);
        return;
      }
      const piece = rest.subarray(0, this.#pieceBytes);
      rest = rest.subarray(piece.length);
      this.#parsePiece(piece);
    }
  }

  /** The socket keeps the rest, so that its end, which a paused one reports, too, comes after it. */
  #waitForTurn(rest: Buffer): void {
    this.#socket.pause();
    this.#socket.unshift(rest);
    void loopTurn().then(() => this.#socket.resume());
  }

  #parsePiece(piece: Buffer): void {
    this.#iteration.begin();
    const startedAtMs = performance.now();
    this.#parse(piece, 0, piece.length);
    const usedMs = performance.now() - startedAtMs;
    if (usedMs > SLOW_MS) this.#pieceBytes = Math.max(MIN_PIECE_BYTES, this.#pieceBytes / 2);
    else if (usedMs < FAST_MS) this.#pieceBytes = Math.min(MAX_PIECE_BYTES, this.#pieceBytes * 2);
  }
}
