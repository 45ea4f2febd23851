/** The value of `:authority` in a block of headers. */
export interface AuthorityLiteral {
  /** Offset of the string: its length and flag, before the bytes. */
  readonly start: number;
  /** Offset of the first byte, and of the one behind the last. */
  readonly valueStart: number;
  readonly valueEnd: number;
  readonly isHuffman: boolean;
}

/** Index of `:authority` in the static table of HPACK. */
const AUTHORITY_INDEX = 1;
/** RFC 7541, section 5.2. */
const HUFFMAN_FLAG = 0x80;
/** Longer numbers than four bytes do not fit into a frame. */
const MAX_NUMBER_SHIFT = 21;

/**
 * Finds `:authority` in the first frame of a block of headers (RFC 7541), if the block has it as a
 * literal: a peer may refer to an earlier block instead. No table is needed: what is indexed is
 * skipped.
 *
 * @returns undefined also for a block that breaks off or makes no sense.
 */
export function findAuthority(block: Uint8Array): AuthorityLiteral | undefined {
  const reader = new BlockReader(block);
  while (!reader.isAtEnd) {
    const first = reader.peek();
    if (first >= 0x80) {
      reader.number(7); // an indexed header
      continue;
    }
    if (first >= 0x20 && first < 0x40) {
      reader.number(5); // a change of the table's size
      continue;
    }
    const index = reader.number(first >= 0x40 ? 6 : 4);
    if (index === 0) reader.string();
    const value = reader.string();
    if (index === AUTHORITY_INDEX) return value;
  }
  return undefined;
}

class BlockReader {
  readonly #block: Uint8Array;
  #at = 0;

  constructor(block: Uint8Array) {
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
    this.#at = this.#block.length;
    return value;
  }

  /** Skips a string. Returns undefined if the block ends in it. */
  string(): AuthorityLiteral | undefined {
    const start = this.#at;
    const isHuffman = (this.peek() & HUFFMAN_FLAG) !== 0;
    const length = this.number(7);
    const valueStart = this.#at;
    this.#at += length;
    if (this.#at > this.#block.length) return undefined;
    return { start, valueStart, valueEnd: this.#at, isHuffman };
  }

  #next(): number {
    const byte = this.peek();
    this.#at++;
    return byte;
  }
}

const LOCALHOST = Buffer.from('localhost');
const LOCALHOST_HUFFMAN = Buffer.from('a0e41d139d09', 'hex');

/** A colon, which takes seven bits in Huffman's code; nine letters before it fill six bytes. */
const COLON = { plain: 0x3a, huffman: 0xb8 >> 1 } as const;

/**
 * Reports whether the authority is `localhost`, with or without a port, which clients of a Unix
 * socket send as a rule.
 */
export function isLocalhost(
  block: Uint8Array,
  { valueStart, valueEnd, isHuffman }: AuthorityLiteral,
): boolean {
  const name = isHuffman ? LOCALHOST_HUFFMAN : LOCALHOST;
  const value = block.subarray(valueStart, valueEnd);
  if (!name.equals(value.subarray(0, name.length))) return false;
  const next = value[name.length];
  return next === undefined || (isHuffman ? next >> 1 === COLON.huffman : next === COLON.plain);
}

const FILLER = 'x'.charCodeAt(0);

/**
 * Replaces the authority by a host name that takes as many bytes, in place. The string is no longer
 * in Huffman's code, so it has at most as many characters as before: the table of the reader, whose
 * entries count by their characters, keeps everything that the peer may refer to.
 */
export function replaceAuthority(block: Uint8Array, { start, valueStart, valueEnd }: AuthorityLiteral): void {
  block[start] = (block[start] ?? 0) & ~HUFFMAN_FLAG;
  block.fill(FILLER, valueStart, valueEnd);
}
