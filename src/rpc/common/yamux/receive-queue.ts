/**
 * Payload below this size is copied together while it waits, so that it does not keep the
 * connection's whole 64 KiB chunk.
 */
const COPY_BELOW_BYTES = 4096;

/** Size of the blocks that collect small payload. */
const BLOCK_BYTES = 16 * 1024;

/**
 * Received bytes in order, until the application reads them. The stream's window bounds their
 * number. This class bounds the memory per byte: a peer that sends one byte per frame fills blocks
 * instead of millions of small views.
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

  /** Returns the oldest piece, or `undefined`. The caller owns it. */
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
