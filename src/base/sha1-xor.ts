const BLOCK_BYTES = 64;
/** Bytes of the length at the end of the last block. */
const LENGTH_BYTES = 8;
const WORDS = 5;

/**
 * The exclusive or of the SHA-1 hashes of byte strings. Adding a string a second time removes it.
 *
 * It computes the hashes in JavaScript: for strings of some 60 bytes, a call of node:crypto takes
 * five times as long, because it creates objects. Not for secrets.
 *
 * @see FIPS 180-4, section 6.1
 */
export class Sha1Xor {
  readonly #sum = new Int32Array(WORDS);
  readonly #hash = new Int32Array(WORDS);
  readonly #schedule = new Int32Array(80);
  readonly #tail = new Uint8Array(2 * BLOCK_BYTES);

  /** Adds the hash of `bytes[start, end)`. */
  add(bytes: Uint8Array, start = 0, end = bytes.length): void {
    this.#hash.set(INITIAL);
    let at = start;
    for (; end - at >= BLOCK_BYTES; at += BLOCK_BYTES) this.#compress(bytes, at);
    this.#compressTail(bytes, at, end, end - start);
    this.addSum(this.#hash);
  }

  /** Adds the sum of another set, as from {@link words}. */
  addSum(words: Int32Array): void {
    for (let index = 0; index < WORDS; index++)
      this.#sum[index] = (this.#sum[index] ?? 0) ^ (words[index] ?? 0);
  }

  /** Returns the sum so far, as five words. */
  words(): Int32Array {
    return this.#sum.slice();
  }

  /** Returns the sum so far, 20 bytes. */
  digest(): Buffer {
    const digest = Buffer.alloc(WORDS * 4);
    for (const [index, word] of this.#sum.entries()) digest.writeInt32BE(word, index * 4);
    return digest;
  }

  /** Hashes the last, incomplete block with the padding, which may need another block. */
  #compressTail(bytes: Uint8Array, from: number, end: number, length: number): void {
    const tail = this.#tail;
    const left = end - from;
    for (let index = 0; index < left; index++) tail[index] = bytes[from + index] ?? 0;
    tail[left] = 0x80;
    const size = left < BLOCK_BYTES - LENGTH_BYTES ? BLOCK_BYTES : 2 * BLOCK_BYTES;
    tail.fill(0, left + 1, size);
    let bits = length * 8;
    for (let index = size - 1; bits > 0; index--) {
      tail[index] = bits % 256;
      bits = Math.floor(bits / 256);
    }
    this.#compress(tail, 0);
    if (size > BLOCK_BYTES) this.#compress(tail, BLOCK_BYTES);
  }

  #compress(bytes: Uint8Array, start: number): void {
    const w = this.#schedule;
    for (let index = 0, at = start; index < 16; index++, at += 4) {
      w[index] =
        ((bytes[at] ?? 0) << 24) |
        ((bytes[at + 1] ?? 0) << 16) |
        ((bytes[at + 2] ?? 0) << 8) |
        (bytes[at + 3] ?? 0);
    }
    for (let t = 16; t < 80; t++) {
      const x = (w[t - 3] ?? 0) ^ (w[t - 8] ?? 0) ^ (w[t - 14] ?? 0) ^ (w[t - 16] ?? 0);
      w[t] = (x << 1) | (x >>> 31);
    }
    const hash = this.#hash;
    let [a = 0, b = 0, c = 0, d = 0, e = 0] = hash;
    for (let t = 0; t < 80; t++) {
      const next = (((a << 5) | (a >>> 27)) + mix(t, b, c, d) + e + (w[t] ?? 0)) | 0;
      e = d;
      d = c;
      c = (b << 30) | (b >>> 2);
      b = a;
      a = next;
    }
    hash[0] = (hash[0] ?? 0) + a;
    hash[1] = (hash[1] ?? 0) + b;
    hash[2] = (hash[2] ?? 0) + c;
    hash[3] = (hash[3] ?? 0) + d;
    hash[4] = (hash[4] ?? 0) + e;
  }
}

const INITIAL = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0);

/** Returns the function and the constant of a round. */
function mix(round: number, b: number, c: number, d: number): number {
  if (round < 20) return (d ^ (b & (c ^ d))) + 0x5a827999;
  if (round < 40) return (b ^ c ^ d) + 0x6ed9eba1;
  if (round < 60) return ((b & c) | (d & (b | c))) + 0x8f1bbcdc;
  return (b ^ c ^ d) + 0xca62c1d6;
}
