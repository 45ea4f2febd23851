import { decodeHeaders } from './decode-headers.ts';

/** Number and length of blocks that are kept: most responses have the same short blocks. */
const MAX_KNOWN_BLOCKS = 128;
const MAX_KNOWN_BYTES = 512;

/** A block of a response. The stream of a malformed or too large one is reset. */
export type ResponseBlock =
  | { readonly kind: 'headers' | 'interim' | 'trailers'; readonly pairs: readonly string[] }
  | { readonly kind: 'malformed' | 'too-large' };

/**
 * Decodes and checks the blocks of responses. As no block depends on others, equal ones are decoded
 * once.
 */
export class ResponseBlocks {
  readonly #limits: Parameters<typeof decodeHeaders>[1];
  readonly #known = new Map<string, ResponseBlock>();

  constructor(limits: Parameters<typeof decodeHeaders>[1]) {
    this.#limits = limits;
  }

  /** @throws {ConnectionError} for a block that cannot be decoded. */
  read(block: Buffer): ResponseBlock {
    if (block.length > MAX_KNOWN_BYTES) return this.#decode(block);
    const key = block.toString('latin1');
    let known = this.#known.get(key);
    if (known === undefined) {
      known = this.#decode(block);
      if (this.#known.size >= MAX_KNOWN_BLOCKS) this.#known.clear(); // the current ones are added again
      this.#known.set(key, known);
    }
    return known;
  }

  #decode(block: Buffer): ResponseBlock {
    const pairs = decodeHeaders(block, this.#limits);
    return pairs === undefined ? { kind: 'too-large' } : checked(pairs);
  }
}

const STATUS = /^[1-5][0-9][0-9]$/;
const NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
/** Bytes in values that nghttp2 refuses as well. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it finds
const REFUSED_IN_VALUE = /[\x00-\x08\x0a-\x1f\x7f]/;

function checked(pairs: readonly string[]): ResponseBlock {
  const isWithStatus = pairs[0] === ':status';
  for (let at = isWithStatus ? 2 : 0; at < pairs.length; at += 2) {
    if (!NAME.test(pairs[at] ?? '') || REFUSED_IN_VALUE.test(pairs[at + 1] ?? ''))
      return { kind: 'malformed' };
  }
  if (!isWithStatus) return { kind: 'trailers', pairs };
  const status = pairs[1] ?? '';
  if (!STATUS.test(status)) return { kind: 'malformed' };
  return { kind: status.startsWith('1') ? 'interim' : 'headers', pairs };
}
