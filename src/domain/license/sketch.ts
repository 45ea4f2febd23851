/** A text as a set of numbers: the smallest hashes of its sequences of three words, sorted. */
export type Sketch = Uint32Array;

/**
 * Most hashes of a sketch. Texts of up to this many words are compared exactly; for longer ones the
 * estimate is off by one or two percent.
 */
export const SKETCH_SIZE = 256;
const WORDS_TOGETHER = 3;
/** Hashes have 24 bits, which four characters of base64 hold. */
const HASH_BITS = 24;
/** Parameters of FNV-1a. @see http://www.isthe.com/chongo/tech/comp/fnv/ */
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** Returns the sketch of a text. */
export function sketchOf(words: readonly string[]): Sketch {
  const hashes = new Set<number>();
  for (let at = 0; at + WORDS_TOGETHER <= words.length; at++)
    hashes.add(hashOf(words.slice(at, at + WORDS_TOGETHER).join(' ')));
  return Uint32Array.from(hashes).sort().slice(0, SKETCH_SIZE);
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

/** Parses what {@link encodeSketch} returns. */
export function decodeSketch(text: string): Sketch {
  const bytes = Buffer.from(text, 'base64');
  return Uint32Array.from({ length: bytes.length / 3 }, (_, index) => bytes.readUIntBE(index * 3, 3));
}
