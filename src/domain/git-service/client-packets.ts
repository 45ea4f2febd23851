/** One packet of the client: its data without the four digits, or one of those without data. */
export type ClientPacket = Buffer | 'flush' | 'delimiter';

const MAX_PACKET_BYTES = 65520; // git: LARGE_PACKET_MAX

/**
 * Takes a copy of the client's bytes apart into git's packets. Looking only: what cannot be read ends the looking, git gets
 * everything and decides. At most one packet is held.
 */
export class ClientPackets {
  #rest: Buffer = Buffer.alloc(0);
  #isReadable = true;

  /** Whether the bytes so far were packets. */
  get isReadable(): boolean {
    return this.#isReadable;
  }

  /** Whether no packet is under way: the bytes may end here. */
  get isWhole(): boolean {
    return this.#rest.length === 0;
  }

  *push(chunk: Uint8Array): Generator<ClientPacket> {
    if (!this.#isReadable) return;
    const bytes = Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (bytes.length - at >= 4) {
      const digits = bytes.toString('latin1', at, at + 4);
      const length = /^[0-9a-fA-F]{4}$/.test(digits) ? Number.parseInt(digits, 16) : undefined;
      if (length === undefined || length > MAX_PACKET_BYTES) {
        this.#isReadable = false;
        this.#rest = Buffer.alloc(0);
        return;
      }
      if (length < 4) {
        at += 4;
        yield length === 0 ? 'flush' : 'delimiter';
        continue;
      }
      if (bytes.length - at < length) break;
      const data = bytes.subarray(at + 4, at + length);
      at += length;
      yield data;
    }
    this.#rest = Buffer.from(bytes.subarray(at));
  }
}
