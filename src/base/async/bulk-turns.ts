import { NextTurn } from './loop-turns.ts';

/**
 * Bulk data that is handled in one iteration of the event loop, some four pieces: that takes about
 * a millisecond, and everything else waits for as long.
 */
const BYTES_PER_TURN = 1 << 20;
/**
 * Shorter pieces take little time and never wait, so that large responses do not delay small ones.
 */
const SMALL_BYTES = 64 * 1024;

/**
 * Spreads pieces of bulk data over iterations of the event loop, so that many streams delay no
 * others.
 */
export class BulkTurns {
  readonly #turn = new NextTurn(() => this.#goOn());
  #leftBytes = BYTES_PER_TURN;
  /** Pieces that wait for a later iteration, in order. */
  readonly #waiting: { readonly bytes: number; readonly go: () => void }[] = [];

  /**
   * Returns when a piece of this size may be handled: `undefined` for at once. Pieces are handled
   * in the order of the calls.
   */
  next(bytes: number): Promise<void> | undefined {
    if (bytes < SMALL_BYTES) return undefined;
    this.#turn.schedule();
    if (this.#leftBytes > 0) {
      this.#leftBytes -= bytes;
      return undefined;
    }
    return new Promise((go) => this.#waiting.push({ bytes, go }));
  }

  #goOn(): void {
    this.#leftBytes = BYTES_PER_TURN;
    while (this.#leftBytes > 0) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#leftBytes -= next.bytes;
      this.#turn.schedule();
      next.go();
    }
  }
}

/** The turns of this process. */
export const bulkTurns = new BulkTurns();
