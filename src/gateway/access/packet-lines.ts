import { LENGTH_DIGITS } from '#base/pkt-line/packet';
import { type PacketSink, PacketSplitter } from '#base/pkt-line/packet-splitter';

/** Handles the beginning of a packet's payload, if it has one. @returns false to stop. */
type OnPacket = (beginning: Buffer | undefined) => boolean;

/**
 * Reads the packets of a conversation that is passed on: their beginnings, up to a length. It stops
 * at the first byte that is not a packet's: others report that.
 */
export class PacketLines implements PacketSink {
  readonly #maxBytes: number;
  readonly #onPacket: OnPacket;
  #splitter: PacketSplitter | undefined = new PacketSplitter(this);
  #beginning: Buffer = Buffer.alloc(0);
  #left = 0;
  #isForeign = false;

  constructor(maxBytes: number, onPacket: OnPacket) {
    this.#maxBytes = maxBytes;
    this.#onPacket = onPacket;
  }

  write(chunk: Uint8Array): void {
    try {
      this.#splitter?.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    } catch {
      this.#isForeign = true;
      this.#splitter = undefined;
    }
  }

  /** True after bytes that are no packets. */
  get isForeign(): boolean {
    return this.#isForeign;
  }

  packet(length: number): boolean {
    this.#beginning = Buffer.alloc(0);
    this.#left = length - LENGTH_DIGITS;
    if (this.#left <= 0) this.#finish(length < LENGTH_DIGITS ? undefined : this.#beginning);
    return this.#splitter !== undefined;
  }

  payload(piece: Buffer): void {
    this.#left -= piece.length;
    const kept = piece.subarray(0, this.#maxBytes - this.#beginning.length);
    if (this.#beginning.length === 0) this.#beginning = kept;
    else if (kept.length > 0) this.#beginning = Buffer.concat([this.#beginning, kept]);
    if (this.#left === 0 && this.#splitter !== undefined) this.#finish(this.#beginning);
  }

  #finish(beginning: Buffer | undefined): void {
    if (!this.#onPacket(beginning)) this.#splitter = undefined;
  }
}
