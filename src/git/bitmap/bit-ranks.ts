/** Numbers the bits that are set in a part of a bitmap, which does not change any more. */
export class BitRanks {
  /** Number of the bits. */
  readonly count: number;
  readonly #bits: Uint32Array;
  readonly #firstWord: number;
  /** Number of bits that are set before each word, from the first one on. */
  readonly #before: Uint32Array;

  /** @param first Bit, and `end` the one behind the last. */
  constructor(bits: Uint32Array, first: number, end: number) {
    this.#bits = bits;
    this.#firstWord = first >>> 5;
    const words = (end >>> 5) + 1 - this.#firstWord;
    this.#before = new Uint32Array(words);
    let count = 0;
    for (let at = 0; at < words; at++) {
      this.#before[at] = count;
      count += ones(bits[this.#firstWord + at] ?? 0);
    }
    this.count = count;
  }

  /** Returns how many bits are set before a bit, from the first word of the part on. */
  rankOf(bit: number): number {
    const word = bit >>> 5;
    const lower = (this.#bits[word] ?? 0) & ((1 << (bit & 31)) - 1);
    return (this.#before[word - this.#firstWord] ?? 0) + ones(lower);
  }
}

/** Returns how many of 32 bits are set. */
export function ones(word: number): number {
  let sum = word - ((word >>> 1) & 0x55555555);
  sum = (sum & 0x33333333) + ((sum >>> 2) & 0x33333333);
  return Math.imul((sum + (sum >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
