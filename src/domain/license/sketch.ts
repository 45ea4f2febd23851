/** A text as a set of numbers: the smallest hashes of its sequences of three words, sorted. */
export type Sketch = Uint32Array;

/**
 * Most hashes of a sketch. Texts of up to this many words are compared exactly; for longer ones the
 * estimate is off by one or two percent.
 */
export const SKETCH_SIZE = 256;
const WORDS_TOGETHER = 3;
/** Hashes that are collected before all but the smallest ones are dropped. */
const MAX_HASHES = 16 * SKETCH_SIZE;
/** Hashes have 24 bits, which four characters of base64 hold. */
const HASH_BITS = 24;
/** Parameters of FNV-1a. @see http://www.isthe.com/chongo/tech/comp/fnv/ */
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** Returns the sketch of a text. Empty words are ignored. */
export function sketchOf(words: Iterable<string>): Sketch {
  const sketcher = new Sketcher();
  for (const word of words) sketcher.add(word);
  return sketcher.sketch();
}

/** Makes the sketch of a text whose words are added one by one. */
export class Sketcher {
  readonly #words: string[] = [];
  #hashes = new Set<number>();
  /** Larger hashes are not among the smallest ones. */
  #largest = Number.POSITIVE_INFINITY;

  /** Adds the next word. Empty words are ignored. */
  add(word: string): void {
    if (word === '') return;
    this.#words.push(word);
    if (this.#words.length < WORDS_TOGETHER) return;
    const hash = hashOf(this.#words.join(' '));
    this.#words.shift();
    if (hash > this.#largest) return;
    this.#hashes.add(hash);
    if (this.#hashes.size > MAX_HASHES) this.#keepSmallest();
  }

  sketch(): Sketch {
    return Uint32Array.from(this.#hashes).sort().slice(0, SKETCH_SIZE);
  }

  #keepSmallest(): void {
    const smallest = this.sketch();
    this.#hashes = new Set(smallest);
    this.#largest = smallest.at(-1) ?? this.#largest;
  }
}

/**
 * Estimates the share of sequences that two texts have in common, of all that one of them has: 1
 * for equal texts (Jaccard index of bottom-k sketches).
 *
 * @see Broder: On the resemblance and containment of documents (1997)
 */
export function resemblance(one: Sketch, other: Sketch): number {
  let common = 0;
  let seen = 0;
  let [a, b] = [0, 0];
  const isWhole = one.length < SKETCH_SIZE && other.length < SKETCH_SIZE;
  const limit = isWhole ? Number.POSITIVE_INFINITY : SKETCH_SIZE;
  while ((a < one.length || b < other.length) && seen < limit) {
    const left = one[a] ?? Number.POSITIVE_INFINITY;
    const right = other[b] ?? Number.POSITIVE_INFINITY;
    if (left === right) common++;
    if (left <= right) a++;
    if (right <= left) b++;
    seen++;
  }
  return seen === 0 ? 0 : common / seen;
}

function hashOf(text: string): number {
  let hash = FNV_OFFSET;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), FNV_PRIME);
  // The lowest bits of FNV are weak alone.
  return ((hash >>> HASH_BITS) ^ hash) & ((1 << HASH_BITS) - 1);
}

/** Returns a sketch as text: three bytes for each hash, in base64. */
export function encodeSketch(sketch: Sketch): string {
  const bytes = Buffer.alloc(sketch.length * 3);
  for (const [index, hash] of sketch.entries()) bytes.writeUIntBE(hash, index * 3, 3);
  return bytes.toString('base64');
}

/** Parses the result of {@link encodeSketch}. */
export function decodeSketch(text: string): Sketch {
  const bytes = Buffer.from(text, 'base64');
  return Uint32Array.from({ length: bytes.length / 3 }, (_, index) => bytes.readUIntBE(index * 3, 3));
}
