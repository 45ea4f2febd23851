/**
 * The Bloom filters of a commit-graph file: the paths in which commits differ from their first
 * parents, with the directories above them. @see gitformat-commit-graph(5), chunks BIDX and BDAT
 */
export interface PathFilters {
  /** Chunk BIDX: where the filter of each commit ends. */
  readonly ends: Buffer;
  /** Chunk BDAT: its header and the filters. */
  readonly data: Buffer;
}

export interface PathKey {
  readonly hashes: readonly [first: number, step: number];
  /** Version 1 of the hash treats other bytes differently on some machines. */
  readonly isAscii: boolean;
}

const HEADER_BYTES = 12;
const SEEDS = [0x293ae76f, 0x7e646e2c] as const;
const SLASH = 0x2f;

/** Bytes that are hashed for each byte of a path: enough for 32 directories. */
const MAX_HASHED = 16;

/**
 * Returns the keys of a path and of the directories above it: a filter has all or none of them. Of
 * a path with very many directories, these are the keys of the lowest ones.
 */
export function pathKeys(path: Buffer): PathKey[] {
  const keys: PathKey[] = [];
  let hashed = 0;
  for (let end = path.length; end > 0; end = path.lastIndexOf(SLASH, end - 1)) {
    hashed += end;
    if (hashed > MAX_HASHED * path.length) break;
    keys.push(keyOf(path.subarray(0, end)));
  }
  return keys;
}

function keyOf(path: Buffer): PathKey {
  return {
    hashes: [murmur3(path, SEEDS[0]), murmur3(path, SEEDS[1])],
    isAscii: path.every((byte) => byte < 0x80),
  };
}

/**
 * Reports whether a commit, the n-th of a file, differs from its first parent, or from nothing, in
 * none of the paths. False if it may.
 */
export function hasNone({ ends, data }: PathFilters, n: number, paths: readonly PathKey[][]): boolean {
  const start = HEADER_BYTES + (n === 0 ? 0 : ends.readUInt32BE((n - 1) * 4));
  const end = HEADER_BYTES + ends.readUInt32BE(n * 4);
  // The filter was not computed, or the file is damaged.
  if (start >= end || end > data.length) return false;
  const version = data.readUInt32BE(0);
  const hashCount = data.readUInt32BE(4);
  const bits = (end - start) * 8;
  const mayHave = ({ hashes: [first, step], isAscii }: PathKey): boolean => {
    if (version !== 2 && !(version === 1 && isAscii)) return true;
    let hash = first;
    for (let count = 0; count < hashCount; count++) {
      const bit = hash % bits;
      if (((data[start + (bit >>> 3)] ?? 0) & (1 << (bit & 7))) === 0) return false;
      hash = (hash + step) >>> 0;
    }
    return true;
  };
  return !paths.some((keys) => keys.every(mayHave));
}

/** Returns the 32 bits of MurmurHash3. */
function murmur3(data: Buffer, seed: number): number {
  let hash = seed;
  const whole = data.length & ~3;
  for (let at = 0; at < whole; at += 4) {
    hash ^= mixed(data.readUInt32LE(at));
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
  }
  let rest = 0;
  for (let at = data.length - 1; at >= whole; at--) rest = (rest << 8) | (data[at] ?? 0);
  if (whole < data.length) hash ^= mixed(rest);
  hash ^= data.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function mixed(word: number): number {
  const product = Math.imul(word, 0xcc9e2d51);
  return Math.imul((product << 15) | (product >>> 17), 0x1b873593);
}
