import { FallBackToGit } from '../command/in-process.ts';
import type { ObjectType } from '../names/object-info.ts';
import { ones } from './bit-ranks.ts';
import { damaged, type EwahBitmap, ewahAt, invert } from './ewah.ts';

const SIGNATURE = 'BITM';
const VERSION = 1;
/** Signature, version, flags, number of commits. */
const FIXED_BYTES = 12;
/** Everything that these objects need is among them. */
const FULL_DAG = 0x1;
const HAS_NAMES = 0x4;
/** Tables behind the bitmaps: hashes of names, positions of bitmaps, unions of bitmaps. */
const TABLES = HAS_NAMES | 0x10 | 0x20;
/** Types of objects in the order of their bitmaps. */
const TYPES: readonly ObjectType[] = ['commit', 'tree', 'blob', 'tag'];
/** Position of the object, how far the bitmap from which it differs is before it, flags. */
const ENTRY_BYTES = 6;
/** Of a name. */
const HASH_BYTES = 4;

interface Entry {
  readonly bitmap: EwahBitmap;
  /** How many entries the one is before, from which this one differs; 0 for none. */
  readonly distance: number;
}

/** The objects that commits reach, among those of a pack or of a multi-pack-index. */
export class BitmapFile {
  readonly #bytes: Buffer;
  readonly #count: number;
  /** Position of the hashes of names; `undefined` for none. */
  readonly #namesAt: number | undefined;
  /** The objects of each type, in the order of {@link TYPES}. */
  readonly #types: EwahBitmap[] = [];
  readonly #entries: Entry[] = [];
  /** Index of the bitmap of each commit, by its position among the sorted ids. */
  readonly #indexes = new Map<number, number>();

  /**
   * @param objects Their number, and the checksum of the pack or multi-pack-index.
   * @throws {FallBackToGit} for anything that git does not write for these objects.
   */
  constructor(bytes: Buffer, objects: { readonly count: number; readonly checksum: Buffer }) {
    const { count, checksum } = objects;
    this.#bytes = bytes;
    this.#count = count;
    const headerBytes = FIXED_BYTES + checksum.length;
    if (bytes.length < headerBytes || bytes.toString('latin1', 0, 4) !== SIGNATURE) throw damaged();
    const flags = bytes.readUInt16BE(6);
    if (bytes.readUInt16BE(4) !== VERSION || (flags & ~TABLES) !== FULL_DAG)
      throw new FallBackToGit('a bitmap is of an unknown kind');
    if (!bytes.subarray(FIXED_BYTES, headerBytes).equals(checksum))
      throw new FallBackToGit('a bitmap is of other packs');
    let at = headerBytes;
    while (this.#types.length < TYPES.length) {
      const bitmap = ewahAt(bytes, at);
      this.#types.push(bitmap);
      at = bitmap.next;
    }
    at = this.#readEntries(at, bytes.readUInt32BE(8));
    if ((flags & HAS_NAMES) === 0) return;
    this.#namesAt = bytes.length - checksum.length - HASH_BYTES * count;
    if (this.#namesAt < at) throw damaged();
  }

  /** Returns git's hash of the name of an object, by its position among the sorted ids; 0 for none. */
  nameHash(position: number): number {
    return this.#namesAt === undefined ? 0 : this.#bytes.readUInt32BE(this.#namesAt + HASH_BYTES * position);
  }

  /** Size in memory, without small parts. */
  get byteLength(): number {
    return this.#bytes.byteLength;
  }

  /** Reports whether there is a bitmap of the commit at a position among the sorted ids. */
  has(position: number): boolean {
    return this.#indexes.has(position);
  }

  /** Returns the bits of no object. */
  noBits(): Uint32Array {
    return new Uint32Array(2 * Math.ceil(this.#count / 64));
  }

  /**
   * Sets the bits of what a commit reaches.
   *
   * @param position Of the commit among the sorted ids.
   * @param scratch As many bits, which are overwritten.
   * @param pause Waits when the computation has taken long.
   * @throws {FallBackToGit}; what `pause` throws.
   */
  async addReached(
    position: number,
    { bits, scratch }: Readonly<Record<'bits' | 'scratch', Uint32Array>>,
    pause: () => Promise<void>,
  ): Promise<void> {
    const index = this.#indexes.get(position);
    if (index === undefined) throw new FallBackToGit('a commit has no bitmap');
    const own = scratch.fill(0);
    // The differences may be applied in any order.
    for (let at = index; ; ) {
      const { bitmap, distance } = this.#entries[at] ?? fail();
      invert(own, this.#bytes, bitmap);
      await pause();
      if (distance === 0) break;
      at -= distance;
    }
    addBits(bits, own);
  }

  /** Clears the bits of all objects of a type. @throws {FallBackToGit} */
  dropType(type: ObjectType, bits: Uint32Array): void {
    const bitmap = this.#types[TYPES.indexOf(type)] ?? fail();
    const own = this.noBits();
    invert(own, this.#bytes, bitmap);
    removeBits(bits, own);
  }

  /** @returns the position behind them. */
  #readEntries(start: number, count: number): number {
    let at = start;
    for (let index = 0; index < count; index++) {
      if (at + ENTRY_BYTES > this.#bytes.length) throw damaged();
      const distance = this.#bytes.readUInt8(at + 4);
      if (distance > index) throw damaged();
      const bitmap = ewahAt(this.#bytes, at + ENTRY_BYTES);
      this.#indexes.set(this.#bytes.readUInt32BE(at), index);
      this.#entries.push({ bitmap, distance });
      at = bitmap.next;
    }
    return at;
  }
}

export function setBit(bits: Uint32Array, bit: number): void {
  const at = bit >>> 5;
  bits[at] = (bits[at] ?? 0) | (1 << (bit & 31));
}

export function hasBit(bits: Uint32Array, bit: number): boolean {
  return ((bits[bit >>> 5] ?? 0) & (1 << (bit & 31))) !== 0;
}

/** Returns the first bit from one on that is not set, or `end`. */
export function firstGap(bits: Uint32Array, from: number, end: number): number {
  let bit = from;
  while (bit < end && hasBit(bits, bit)) bit += bit % 32 === 0 && bits[bit >>> 5] === 0xffffffff ? 32 : 1;
  return Math.min(bit, end);
}

export function addBits(bits: Uint32Array, others: Uint32Array): void {
  for (let at = 0; at < others.length; at++) bits[at] = (bits[at] ?? 0) | (others[at] ?? 0);
}

export function removeBits(bits: Uint32Array, others: Uint32Array): void {
  for (let at = 0; at < others.length; at++) bits[at] = (bits[at] ?? 0) & ~(others[at] ?? 0);
}

/** Returns the first bit from one on that is set, or `end`. */
export function nextBit(bits: Uint32Array, from: number, end: number): number {
  let bit = from;
  while (bit < end && !hasBit(bits, bit)) bit += bits[bit >>> 5] === 0 ? 32 - (bit & 31) : 1;
  return Math.min(bit, end);
}

export function countBits(bits: Uint32Array): number {
  let count = 0;
  for (const word of bits) count += ones(word);
  return count;
}

function fail(): never {
  throw damaged();
}
