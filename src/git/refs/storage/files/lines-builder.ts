import { LoopSlice } from '#base/async/loop-turns';
import { PackedLines } from './packed-lines.ts';

/** Number of starts for which memory is reserved first. */
const FIRST_STARTS = 1024;

/**
 * Collects the lines of an advertisement, and joins them in slices: at once, those of 300,000
 * references block the event loop for 25 ms.
 */
export class LinesBuilder {
  readonly #pieces: Buffer[] = [];
  #starts = new Uint32Array(FIRST_STARTS);
  #count = 0;
  #length = 0;

  /** Bytes of all lines so far. */
  get length(): number {
    return this.#length;
  }

  /** Notes that a line starts in the next piece. @param at its position there. */
  startsAt(at: number): void {
    if (this.#count === this.#starts.length) this.#grow();
    this.#starts[this.#count++] = this.#length + at;
  }

  /** Adds the bytes of the lines that were noted since the last piece. */
  add(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#length += piece.length;
  }

  /** Returns all lines. @param digits of an object id. */
  async finish(digits: number): Promise<PackedLines> {
    this.startsAt(0);
    // Memory that is written for the first time here, in turns.
    const data = Buffer.allocUnsafeSlow(this.#length);
    const slice = new LoopSlice();
    let at = 0;
    for (const piece of this.#pieces) {
      at += piece.copy(data, at);
      await slice.pause();
    }
    await slice.pause();
    return new PackedLines(data, this.#starts.slice(0, this.#count), digits);
  }

  #grow(): void {
    const larger = new Uint32Array(2 * this.#starts.length);
    larger.set(this.#starts);
    this.#starts = larger;
  }
}
