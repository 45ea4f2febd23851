import { huffmanBytes } from '#rpc/common/http2/huffman';

/** A string in a block of headers. */
export interface HeaderLiteral {
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
export function findAuthority(block: Uint8Array): HeaderLiteral | undefined {
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
    const isAuthority = index === AUTHORITY_INDEX || (index === 0 && isAuthorityName(block, reader.string()));
    const value = reader.string();
    if (isAuthority) return value;
  }
  return undefined;
}

const AUTHORITY_NAME = Buffer.from(':authority');

/** Reports whether a name that the block has as a literal is `:authority`. */
function isAuthorityName(block: Uint8Array, name: HeaderLiteral | undefined): boolean {
  if (name === undefined || name.valueEnd - name.valueStart > AUTHORITY_NAME.length) return false;
  const bytes = block.subarray(name.valueStart, name.valueEnd);
  return AUTHORITY_NAME.equals(name.isHuffman ? Uint8Array.from(huffmanBytes(bytes)) : bytes);
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
  string(): HeaderLiteral | undefined {
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

/**
 * The treatment of an authority by `node:http2`, or the need to replace it. nghttp2 resets requests
 * whose authority has other characters than RFC 3986 allows there; grpc-go and Gitaly accept any
 * without control characters.
 */
export type AuthorityKind = 'accepted' | 'to-replace' | 'refused';

/** Bytes in authorities that nghttp2 accepts: those of a host, a port and percent-encoding. */
const ACCEPTED = new Set(
  Buffer.from("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!$%&'()*+,-.:;=[]_~"),
);
const TAB = 9;
const SPACE = 0x20;
const DELETE = 0x7f;

/** Returns the kind of an authority. An empty one has no byte that could be replaced. */
export function kindOfAuthority(
  block: Uint8Array,
  { valueStart, valueEnd, isHuffman }: HeaderLiteral,
): AuthorityKind {
  const value = block.subarray(valueStart, valueEnd);
  let kind: AuthorityKind = 'accepted';
  for (const byte of isHuffman ? huffmanBytes(value) : value) {
    if ((byte < SPACE && byte !== TAB) || byte === DELETE) return 'refused';
    if (!ACCEPTED.has(byte)) kind = 'to-replace';
  }
  return kind;
}

const FILLER = 'x'.charCodeAt(0);

/**
 * Replaces the authority by a host name that takes as many bytes, in place. The string is no longer
 * in Huffman's code, so it has at most as many characters as before: the table of the reader, whose
 * entries count by their characters, keeps everything that the peer may refer to.
 */
export function replaceAuthority(block: Uint8Array, { start, valueStart, valueEnd }: HeaderLiteral): void {
  block[start] = (block[start] ?? 0) & ~HUFFMAN_FLAG;
  block.fill(FILLER, valueStart, valueEnd);
}
