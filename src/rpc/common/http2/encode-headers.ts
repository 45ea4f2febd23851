import type { CommonHeaders, RequestHeaders } from '../grpc/client-session.ts';
import { PAIR_OVERHEAD_BYTES, STATIC_INDEXES } from './static-table.ts';

/** Literals that are not added to a table, and literals that proxies may not add either. */
const WITHOUT_INDEX = 0;
const NEVER_INDEXED = 0x10;
const SECRET = 'authorization';
/** Largest number in the last seven bits, and in the last four, of its first byte. */
const MAX_IN_SEVEN_BITS = 0x7f;
const MAX_IN_FOUR_BITS = 0x0f;
/** Bytes of a literal besides its strings: the first one, and two lengths. */
const LITERAL_BYTES = 11;
/** Number of paths whose headers are kept. A client uses no more paths than there are methods. */
const MAX_KNOWN_PATHS = 512;

/**
 * Encodes requests (RFC 7541) with nothing that refers to another request. What does not change
 * between calls of a method is encoded once.
 */
export class RequestEncoder {
  readonly #common: CommonHeaders;
  readonly #known = new Map<string, Buffer>();

  constructor(common: CommonHeaders) {
    this.#common = common;
  }

  /** Returns a limit of the bytes that {@link encode} writes. */
  maxBytes({ pairs, path }: RequestHeaders): number {
    let bytes = this.#prefix(path).length;
    for (const text of pairs) bytes += text.length + LITERAL_BYTES;
    return bytes;
  }

  /** Returns the size of the header list as peers count it for their limit (RFC 9113, section 6.5.2). */
  listBytes({ pairs, path }: RequestHeaders): number {
    const { after, before } = this.#common;
    const texts = [...before, path, ...after, ...pairs];
    return texts.reduce((bytes, { length }) => bytes + length + PAIR_OVERHEAD_BYTES / 2, 0);
  }

  /** Writes the block of a request. Returns its end. */
  encode({ pairs, path }: RequestHeaders, buffer: Buffer, start: number): number {
    const prefix = this.#prefix(path);
    buffer.set(prefix, start);
    return encodePairs(pairs, buffer, start + prefix.length);
  }

  #prefix(path: string): Buffer {
    let prefix = this.#known.get(path);
    if (prefix === undefined) {
      const pairs = [...this.#common.before, path, ...this.#common.after];
      const buffer = Buffer.alloc(pairs.reduce((bytes, { length }) => bytes + length + LITERAL_BYTES, 0));
      prefix = buffer.subarray(0, encodeShortly(pairs, buffer));
      if (this.#known.size >= MAX_KNOWN_PATHS) this.#known.clear();
      this.#known.set(path, prefix);
    }
    return prefix;
  }
}

/** Writes pairs with names from the static table where it has them. */
function encodeShortly(pairs: readonly string[], buffer: Buffer): number {
  let at = 0;
  for (let i = 0; i < pairs.length; i += 2) {
    const [name = '', value = ''] = pairs.slice(i, i + 2);
    const index = STATIC_INDEXES.get(name);
    if (index === undefined) {
      at = encodePairs([name, value], buffer, at);
    } else {
      at = putNumber(buffer, at, { first: WITHOUT_INDEX, max: MAX_IN_FOUR_BITS, value: index });
      at = putString(buffer, at, value);
    }
  }
  return at;
}

function encodePairs(pairs: readonly string[], buffer: Buffer, start: number): number {
  let at = start;
  for (let i = 0; i < pairs.length; i += 2) {
    const name = pairs[i] ?? '';
    buffer[at] = name === SECRET ? NEVER_INDEXED : WITHOUT_INDEX;
    at = putString(buffer, at + 1, name);
    at = putString(buffer, at, pairs[i + 1] ?? '');
  }
  return at;
}

/** Writes a string with a byte for each character. */
function putString(buffer: Buffer, start: number, text: string): number {
  const { length } = text;
  let at = start;
  if (length < MAX_IN_SEVEN_BITS) buffer[at++] = length;
  else at = putNumber(buffer, at, { first: 0, max: MAX_IN_SEVEN_BITS, value: length });
  return at + buffer.write(text, at, 'latin1');
}

function putNumber(
  buffer: Buffer,
  start: number,
  { first, max, value }: { readonly first: number; readonly max: number; readonly value: number },
): number {
  let at = start;
  if (value < max) {
    buffer[at++] = first | value;
    return at;
  }
  buffer[at++] = first | max;
  let rest = value - max;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) buffer[at++] = (rest & 0x7f) | 0x80;
  buffer[at++] = rest;
  return at;
}
