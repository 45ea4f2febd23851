/** Payload below this is copied together while it waits, so that it does not hold the connection's whole 64 KiB chunk. */
const COPY_BELOW_BYTES = 4096;

/** Size of the blocks that small payload is gathered in. */
const BLOCK_BYTES = 16 * 1024;

/**
 * Bytes that arrived before the application wanted them, in order. The number of bytes is bounded by the stream's window;
 * what each byte costs is bounded here: a peer that sends one byte a frame fills blocks, not millions of small views.
 */
export class ReceiveQueue {
  #pieces: Buffer[] = [];
  #first = 0;
  #bytes = 0;
  #block: Buffer | undefined;
  #blockUsed = 0;

  get bytes(): number {
    return this.#bytes;
  }

  push(piece: Buffer): void {
    this.#bytes += piece.length;
    if (piece.length >= COPY_BELOW_BYTES) {
      this.#sealBlock();
      this.#pieces.push(piece);
      return;
    }
    if (this.#block !== undefined && this.#blockUsed + piece.length > BLOCK_BYTES) this.#sealBlock();
    this.#block ??= Buffer.allocUnsafeSlow(BLOCK_BYTES);
    this.#blockUsed += piece.copy(this.#block, this.#blockUsed);
  }

  /** The oldest piece, `undefined` when nothing waits. The caller owns it. */
  shift(): Buffer | undefined {
    if (this.#first === this.#pieces.length) this.#sealBlock();
    const piece = this.#pieces[this.#first];
    if (piece === undefined) return undefined;
    this.#bytes -= piece.length;
    this.#first += 1;
    if (this.#first === this.#pieces.length) {
      this.#pieces = [];
      this.#first = 0;
    }
    return piece;
  }

  clear(): void {
    this.#pieces = [];
    this.#first = 0;
    this.#bytes = 0;
    this.#block = undefined;
    this.#blockUsed = 0;
  }

  #sealBlock(): void {
    if (this.#block === undefined) return;
    this.#pieces.push(this.#block.subarray(0, this.#blockUsed));
    this.#block = undefined;
    this.#blockUsed = 0;
  }
}
