import type { Socket } from 'node:net';
import { LoopSlice, loopTurn } from '#base/loop-turns';
import { NextTurn } from '#base/next-turn';
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
    const input = new SshInput(client, socket, parse);
    return (chunk, start, end) => input.take(chunk.subarray(start, end));
  });
}

class SshInput {
  readonly #client: SshClient;
  readonly #socket: Socket;
  readonly #parse: Parse;
  #pieceBytes = FIRST_PIECE_BYTES;
  #rest: Buffer[] = [];
  /** True until the turn that it waits for. */
  #isWaiting = false;
  /** True until all that has been received is parsed. */
  #isPaused = false;
  /** The time in this iteration of the event loop. */
  #slice: LoopSlice | undefined;
  readonly #nextTurn = new NextTurn(() => {
    this.#slice = undefined;
  });

  constructor(client: SshClient, socket: Socket, parse: Parse) {
    this.#client = client;
    this.#socket = socket;
    this.#parse = parse;
  }

  take(bytes: Buffer): void {
    this.#rest.push(bytes);
    if (this.#isWaiting) return;
    // The library closes the connection after an error.
    this.#run().catch((error) => this.#client.emit('error', error));
  }

  async #run(): Promise<void> {
    while (!this.#socket.destroyed) {
      const piece = this.#nextPiece();
      if (piece !== undefined) this.#parsePiece(piece);
      else if (this.#slice?.isOver !== true) break;
      if (this.#slice?.isOver === true) await this.#waitForTurn();
    }
    if (this.#isPaused) this.#socket.resume();
    this.#isPaused = false;
  }

  async #waitForTurn(): Promise<void> {
    this.#isWaiting = true;
    this.#isPaused = true;
    this.#socket.pause();
    await loopTurn();
    this.#isWaiting = false;
    this.#slice = undefined;
  }

  #parsePiece(piece: Buffer): void {
    this.#slice ??= new LoopSlice();
    this.#nextTurn.schedule();
    const startedAtMs = performance.now();
    this.#parse(piece, 0, piece.length);
    const usedMs = performance.now() - startedAtMs;
    if (usedMs > SLOW_MS) this.#pieceBytes = Math.max(MIN_PIECE_BYTES, this.#pieceBytes / 2);
    else if (usedMs < FAST_MS) this.#pieceBytes = Math.min(MAX_PIECE_BYTES, this.#pieceBytes * 2);
  }

  #nextPiece(): Buffer | undefined {
    const [first] = this.#rest;
    if (first === undefined) return undefined;
    const piece = first.subarray(0, this.#pieceBytes);
    if (piece.length === first.length) this.#rest.shift();
    else this.#rest[0] = first.subarray(piece.length);
    return piece;
  }
}
