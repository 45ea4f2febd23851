import { ConnectionError } from './connection-error.ts';
import { decodeHuffman } from './huffman.ts';

/** Flag of a string's length (RFC 7541, section 5.2). */
export const HUFFMAN_FLAG = 0x80;
/** Numbers of more than five bytes do not fit into a frame. */
const MAX_NUMBER_SHIFT = 21;

/** A string in a block of headers. */
export interface HeaderLiteral {
  /** Offset of the string: its length and flag, before the bytes. */
  readonly start: number;
  /** Offset of the first byte, and of the one behind the last. */
  readonly valueStart: number;
  readonly valueEnd: number;
  readonly isHuffman: boolean;
}

/** Reads numbers and strings of a block of headers (RFC 7541, section 5). */
export class BlockReader {
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

  /**
   * Reads a number that starts in the last `bits` bits of the first byte.
   *
   * @throws {ConnectionError} if it is cut off or too large.
   */
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

  /** @throws {ConnectionError} for a string that is cut off. */
  literal(): HeaderLiteral {
    const start = this.#at;
    const isHuffman = (this.peek() & HUFFMAN_FLAG) !== 0;
    const length = this.number(7);
    const valueStart = this.#at;
    const valueEnd = valueStart + length;
    if (valueEnd > this.#block.length) throw malformed('a string is cut off');
    this.#at = valueEnd;
    return { start, valueStart, valueEnd, isHuffman };
  }

  /**
   * Reads a string, a character for each byte.
   *
   * @throws {ConnectionError} for one that is cut off, or not in the code of Huffman.
   */
  string(): string {
    return literalText(this.#block, this.literal());
  }

  #next(): number {
    const byte = this.#block[this.#at++];
    if (byte === undefined) throw malformed('a number is cut off');
    return byte;
  }
}

/**
 * Returns the text of a string in a block, a character for each byte.
 *
 * @throws {ConnectionError} for one that is not in the code of Huffman.
 */
export function literalText(block: Buffer, { valueStart, valueEnd, isHuffman }: HeaderLiteral): string {
  if (!isHuffman) return block.toString('latin1', valueStart, valueEnd);
  const text = decodeHuffman(block.subarray(valueStart, valueEnd));
  if (text === undefined) throw malformed('a string is not in the code of Huffman');
  return text;
}

export function malformed(what: string): ConnectionError {
  return new ConnectionError('COMPRESSION_ERROR', `malformed headers: ${what}`);
}
