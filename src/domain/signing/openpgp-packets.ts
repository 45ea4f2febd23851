import { withoutLeadingZeros } from '#base/ssh/key-numbers';

/** A packet of OpenPGP (RFC 4880, section 4.2). */
export interface OpenpgpPacket {
  readonly tag: number;
  readonly body: Buffer;
}

/** Reads fields one after another. */
export class PacketFields {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** Bytes read so far. */
  get taken(): Buffer {
    return this.#bytes.subarray(0, this.#at);
  }

  take(length: number): Buffer {
    if (length > this.#bytes.length - this.#at) throw new Error('openpgp: unexpected end of the data');
    const bytes = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return bytes;
  }

  number(bytes: 1 | 2 | 4): number {
    return this.take(bytes).readUIntBE(0, bytes);
  }

  /** Reads a big-endian number of any size after the count of its bits. */
  mpi(): Buffer {
    return this.take(Math.ceil(this.number(2) / 8));
  }
}

/**
 * Yields the packets of a key or a signature. @throws {Error} for lengths that only streams of data
 * have, and at a truncated end.
 */
export function* packetsOf(bytes: Buffer): Generator<OpenpgpPacket> {
  const fields = new PacketFields(bytes);
  while (!fields.isAtEnd) {
    const head = fields.number(1);
    if (head < 0x80) throw new Error('openpgp: this is no packet');
    const isNew = (head & 0x40) !== 0;
    const tag = isNew ? head & 0x3f : (head >> 2) & 0x0f;
    yield { tag, body: fields.take(isNew ? newLength(fields) : oldLength(fields, head & 3)) };
  }
}

/** Subpackets of a signature by type; the last one of a type is used. */
export function subpacketsOf(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  const fields = new PacketFields(bytes);
  while (!fields.isAtEnd) {
    const subpacket = fields.take(newLength(fields));
    // the high bit marks a critical subpacket
    found.set((subpacket[0] ?? 0) & 0x7f, subpacket.subarray(1));
  }
  return found;
}

function newLength(fields: PacketFields): number {
  const first = fields.number(1);
  if (first < 192) return first;
  if (first < 224) return ((first - 192) << 8) + fields.number(1) + 192;
  if (first === 255) return fields.number(4);
  throw new Error('openpgp: a packet in parts');
}

function oldLength(fields: PacketFields, kind: number): number {
  if (kind === 3) throw new Error('openpgp: a packet without length');
  return fields.number(kind === 0 ? 1 : kind === 1 ? 2 : 4);
}

/** Encodes a number of any size after the count of its bits. */
export function mpi(bigEndian: Buffer): Buffer {
  const digits = withoutLeadingZeros(bigEndian);
  const bits = digits.length === 0 ? 0 : digits.length * 8 - Math.clz32(digits[0] ?? 0) + 24;
  return Buffer.concat([bigEndianNumber(bits, 2), digits]);
}

export function bigEndianNumber(value: number, bytes: 1 | 2 | 4): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.writeUIntBE(value, 0, bytes);
  return buffer;
}
