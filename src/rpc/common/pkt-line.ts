import { quote } from '#base/quote';

/** Largest packet including its four digits. @see git: pkt-line.h, LARGE_PACKET_MAX. */
export const MAX_PACKET_BYTES = 65520;

/** Largest payload of a packet. */
export const MAX_PACKET_PAYLOAD_BYTES = MAX_PACKET_BYTES - 4;

/** The packet without payload that ends something. */
export const FLUSH_PACKET = Buffer.from('0000');

/** The four digits in front of `payloadBytes` bytes of payload. */
export function packetHeader(payloadBytes: number): Buffer {
  return Buffer.from((payloadBytes + 4).toString(16).padStart(4, '0'), 'latin1');
}

/** Takes what {@link PacketSplitter} finds. */
export interface PacketSink {
  /** A packet of `length` bytes including the digits begins; 0 to 3 are the special ones. Answers whether to go on. */
  packet(length: number): boolean;
  /** A piece of the packet's payload, a view on the input. */
  payload(piece: Buffer): void;
}

/**
 * Finds the packets in bytes that come in pieces of any size. Payload is handed on as it arrives, uncopied, so at most three
 * digits are held. Error texts are Gitaly's.
 */
export class PacketSplitter {
  readonly #sink: PacketSink;
  #digits: Buffer = Buffer.alloc(0);
  #payloadLeft = 0;
  #isStopped = false;

  constructor(sink: PacketSink) {
    this.#sink = sink;
  }

  /** @throws {Error} when a length is no hexadecimal number or above 65520. Bytes behind the packet that the sink stopped at are ignored. */
  write(chunk: Buffer): void {
    let offset = 0;
    while (offset < chunk.length && !this.#isStopped) {
      if (this.#payloadLeft > 0) {
        const end = Math.min(offset + this.#payloadLeft, chunk.length);
        this.#payloadLeft -= end - offset;
        this.#sink.payload(chunk.subarray(offset, end));
        offset = end;
        continue;
      }
      const end = Math.min(offset + 4 - this.#digits.length, chunk.length);
      const piece = chunk.subarray(offset, end);
      this.#digits = this.#digits.length === 0 ? piece : Buffer.concat([this.#digits, piece]);
      offset = end;
      if (this.#digits.length < 4) {
        // A copy: the view would hold the whole chunk until the next one comes.
        this.#digits = Buffer.from(this.#digits);
        return;
      }
      const length = parseLength(this.#digits);
      this.#digits = this.#digits.subarray(0, 0);
      this.#payloadLeft = Math.max(0, length - 4);
      this.#isStopped = !this.#sink.packet(length);
    }
  }

  /** The input ended. @throws {Error} when it did so inside a packet. */
  end(): void {
    if (this.#isStopped) return;
    if (this.#digits.length > 0) throw new Error(`pktLineSplitter: incomplete length prefix on ${quote(this.#digits)}`);
    if (this.#payloadLeft > 0) throw new Error('unexpected EOF');
  }
}

function parseLength(digits: Buffer): number {
  const text = digits.toString('latin1');
  // A sign is read because Gitaly reads it: "-001" is a length, only a wrong one.
  if (!/^[+-]?[0-9a-fA-F]+$/.test(text)) {
    throw new Error(`pktLineSplitter: decode length: strconv.ParseInt: parsing ${quote(digits)}: invalid syntax`);
  }
  const length = Number.parseInt(text, 16);
  if (length < 0 || length > MAX_PACKET_BYTES) throw new Error(`pktLineSplitter: invalid length: ${length}`);
  return length;
}
