import { ConnectionError } from './connection-error.ts';
import { decodeHuffman } from './huffman.ts';
import { PAIR_OVERHEAD_BYTES, STATIC_TABLE } from './static-table.ts';

const HUFFMAN_FLAG = 0x80;
/** Longer numbers than five bytes cannot be those of a frame. */
const MAX_NUMBER_SHIFT = 21;
/** Size of a table before our setting of 0 has arrived. */
const MAX_TABLE_BYTES = 4096;

/** Limits of a decoded list. */
export interface ListLimits {
  readonly maxListBytes: number;
  readonly maxPairs: number;
}

/**
 * Decodes a block of headers (RFC 7541) of a peer that may not use a dynamic table. So every
 * block is decoded by itself, and may also be skipped.
 *
 * @returns names and values, a character for each byte; undefined for a list above the limits.
 * @throws {ConnectionError} for a block that is malformed or refers to a dynamic table.
 */
export function decodeHeaders(block: Buffer, { maxListBytes, maxPairs }: ListLimits): string[] | undefined {
  const reader = new BlockReader(block);
  const pairs: string[] = [];
  let listBytes = 0;
  while (!reader.isAtEnd) {
    const first = reader.peek();
    if (first >= 0x20 && first < 0x40) {
      if (pairs.length > 0 || reader.number(5) > MAX_TABLE_BYTES) throw malformed('a change of the table');
      continue;
    }
    const { name, value } = first >= 0x80 ? staticHeader(reader.number(7)) : literal(reader, first);
    listBytes += name.length + value.length + PAIR_OVERHEAD_BYTES;
    if (listBytes > maxListBytes || pairs.length >= maxPairs * 2) return undefined;
    pairs.push(name, value);
  }
  return pairs;
}

/** Reads a literal, whether or not the peer adds it to its table, which keeps nothing. */
function literal(reader: BlockReader, first: number): { readonly name: string; readonly value: string } {
  const index = reader.number(first >= 0x40 ? 6 : 4);
  const name = index === 0 ? reader.string() : staticHeader(index).name;
  return { name, value: reader.string() };
}

function staticHeader(index: number): { readonly name: string; readonly value: string } {
  const header = STATIC_TABLE[index];
  if (header === undefined) throw malformed(`no header has index ${index}`);
  return header;
}

function malformed(what: string): ConnectionError {
  return new ConnectionError('COMPRESSION_ERROR', `malformed headers: ${what}`);
}

class BlockReader {
  readonly #block: Buffer;
  #at = 0;

  constructor(block: Buffer) {
    this.#block = block;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#block.length;
  }

  peek(): number {
    return this.#block[this.#at] ?? 0;
  }

  /** Reads a number whose first byte has it in its last `bits` bits. */
  number(bits: number): number {
    const mask = (1 << bits) - 1;
    let value = this.#next() & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= MAX_NUMBER_SHIFT; shift += 7) {
      const byte = this.#next();
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw malformed('a number is too large');
  }

  string(): string {
    const isHuffman = (this.peek() & HUFFMAN_FLAG) !== 0;
    const length = this.number(7);
    const end = this.#at + length;
    if (end > this.#block.length) throw malformed('a string is cut off');
    const bytes = this.#block.subarray(this.#at, end);
    this.#at = end;
    const text = isHuffman ? decodeHuffman(bytes) : bytes.toString('latin1');
    if (text === undefined) throw malformed('a string is not in the code of Huffman');
    return text;
  }

  #next(): number {
    const byte = this.#block[this.#at++];
    if (byte === undefined) throw malformed('a number is cut off');
    return byte;
  }
}
