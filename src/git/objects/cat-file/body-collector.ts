const NO_DATA = Buffer.alloc(0);

/**
 * Collects the contents of an object whose size is known. Each piece is copied when it arrives:
 * joining the pieces of an object of 40 MB at its end would block the event loop for 30 ms. A
 * single piece is not copied.
 */
export class BodyCollector {
  readonly #size: number;
  #data: Buffer = NO_DATA;
  #length = 0;

  constructor(size: number) {
    this.#size = size;
  }

  /** Adds the next bytes. Together the pieces have at most the size. */
  add(piece: Buffer): void {
    if (piece.length === this.#size) this.#data = piece;
    else {
      if (this.#length === 0) this.#data = Buffer.allocUnsafe(this.#size);
      this.#data.set(piece, this.#length);
    }
    this.#length += piece.length;
  }

  /** The added bytes; fewer than the size if the contents end early. */
  get data(): Buffer {
    return this.#length === this.#size ? this.#data : this.#data.subarray(0, this.#length);
  }
}
