import { type Packet, packetAt, sizeOfPacket } from './packet.ts';

/**
 * Parses bytes that arrive in chunks of any size into whole packets. It never throws: invalid bytes
 * end the reading. At most one packet is buffered.
 */
export class PacketParser {
  #rest: Buffer = Buffer.alloc(0);
  #isReadable = true;

  /** Reports whether all bytes so far were valid packets. */
  get isReadable(): boolean {
    return this.#isReadable;
  }

  /** Reports whether the input is at the end of a packet, so that it may end here. */
  get isWhole(): boolean {
    return this.#rest.length === 0;
  }

  /** Yields the packets that end in `chunk`. Their payloads are views of a copy of the bytes. */
  *push(chunk: Uint8Array): Generator<Packet> {
    if (!this.#isReadable) return;
    const bytes = Buffer.concat([this.#rest, chunk]);
    let at = 0;
    for (;;) {
      const packet = packetAt(bytes, at);
      if (packet === 'incomplete') break;
      if (packet === 'invalid') {
        this.#isReadable = false;
        this.#rest = Buffer.alloc(0);
        return;
      }
      at += sizeOfPacket(packet);
      yield packet;
    }
    this.#rest = Buffer.from(bytes.subarray(at));
  }
}
