import { quote } from '../go/quote.ts';
import { parseIntProblem } from '../go/strconv.ts';
import { LENGTH_DIGITS, MAX_PACKET_BYTES, packetLength } from './packet.ts';

/** Receiver of the packets that {@link PacketSplitter} finds. */
export interface PacketSink {
  /**
   * Handles the beginning of a packet.
   *
   * @param length length including the digits; 0 to 3 for packets without payload.
   * @returns false to stop.
   */
  packet(length: number): boolean;
  /** Handles a piece of the packet's payload, which is a view of the input. */
  payload(piece: Buffer): void;
}

/**
 * Finds the packets in bytes that arrive in chunks of any size. It passes payload on as it arrives,
 * uncopied, and buffers at most three digits. Error texts are Gitaly's.
 */
export class PacketSplitter {
  readonly #sink: PacketSink;
  #digits: Buffer = Buffer.alloc(0);
  #payloadLeft = 0;
  #isStopped = false;

  constructor(sink: PacketSink) {
    this.#sink = sink;
  }

  /**
   * Returns how many bytes of the chunk were read: all, unless the sink stopped. Bytes after the
   * packet at which it stopped are ignored.
   *
   * @throws {Error} when a length is not a hexadecimal number or is above 65520.
   */
  write(chunk: Buffer): number {
    let offset = 0;
    while (offset < chunk.length && !this.#isStopped) {
      if (this.#payloadLeft > 0) {
        const end = Math.min(offset + this.#payloadLeft, chunk.length);
        this.#payloadLeft -= end - offset;
        this.#sink.payload(chunk.subarray(offset, end));
        offset = end;
        continue;
      }
      let length: number;
      if (this.#digits.length === 0 && chunk.length - offset >= LENGTH_DIGITS) {
        length = readLength(chunk, offset);
        offset += LENGTH_DIGITS;
      } else {
        const end = Math.min(offset + LENGTH_DIGITS - this.#digits.length, chunk.length);
        // This is a copy, because a view would keep the whole chunk alive until the next one
        // arrives.
        this.#digits = Buffer.concat([this.#digits, chunk.subarray(offset, end)]);
        offset = end;
        if (this.#digits.length < LENGTH_DIGITS) break;
        length = readLength(this.#digits, 0);
        this.#digits = Buffer.alloc(0);
      }
      this.#payloadLeft = Math.max(0, length - LENGTH_DIGITS);
      this.#isStopped = !this.#sink.packet(length);
    }
    return offset;
  }

  /**
   * Checks that the input may end here.
   *
   * @throws {Error} inside a packet.
   */
  end(): void {
    if (this.#isStopped) return;
    if (this.#digits.length > 0)
      throw new Error(`pktLineSplitter: incomplete length prefix on ${quote(this.#digits)}`);
    if (this.#payloadLeft > 0) throw new Error('unexpected EOF');
  }
}

function readLength(bytes: Buffer, at: number): number {
  return packetLength(bytes, at) ?? readLengthLikeGo(bytes.subarray(at, at + LENGTH_DIGITS));
}

/**
 * Parses a length with an optional sign, as Gitaly does: "-001" is a number, but an invalid length.
 */
function readLengthLikeGo(digits: Buffer): number {
  const text = digits.toString('latin1');
  if (!/^[+-]?[0-9a-fA-F]+$/.test(text)) {
    throw new Error(`pktLineSplitter: decode length: ${parseIntProblem(digits, 'invalid syntax')}`);
  }
  const length = Number.parseInt(text, 16);
  if (length < 0 || length > MAX_PACKET_BYTES) throw new Error(`pktLineSplitter: invalid length: ${length}`);
  return length;
}
