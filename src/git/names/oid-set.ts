import { randomFillSync } from 'node:crypto';
import { endianness } from 'node:os';
import type { ObjectFormatName } from '../repository-files/repository-format.ts';
import { OID_BYTES } from './object-id.ts';

/** Object ids to skip; a `Set` is accepted as well. */
export interface OidList extends Iterable<string> {
  readonly size: number;
  has(oid: string): boolean;
}

/** Parts of a set that grow on their own, so that no growth copies more than a thousandth of it. */
const SHARDS = 1024;
/** Bits of a hash that choose the shard. */
const SHARD_SHIFT = 32 - Math.log2(SHARDS);
/** Bits of a hash below those of the shard that choose a slot: enough for 60 million ids. */
const SLOT_SHIFT = 5;
const FIRST_CAPACITY = 8;
const WORD_BYTES = 4;
const BYTE_VALUES = 256;
/** Positions of the hex digits of a word, such that the bytes in memory are those of the id. */
const LITTLE_ENDIAN = [4, 0, 12, 8, 20, 16, 28, 24];
const BIG_ENDIAN = [28, 24, 20, 16, 12, 8, 4, 0];
const DIGIT_SHIFTS = endianness() === 'LE' ? LITTLE_ENDIAN : BIG_ENDIAN;
const [ZERO, NINE, LETTER_OFFSET] = [0x30, 0x39, 0x61 - 10];

/** Ids with the same bits of the hash. */
interface Shard {
  /** The words of all ids, in the order in which they were added. */
  words: Uint32Array<ArrayBuffer>;
  size: number;
  /** Open addresses: the number of an id from 1 on, or 0. Half of them are free. */
  slots: Uint32Array;
}

/**
 * A random word for each value of each byte of an id; a hash is the XOR of those of its bytes. A
 * client cannot choose ids that collide. With sums of products it could: for ids whose words differ
 * only in their upper bits, only the upper bits of any product differ.
 *
 * @see Pătraşcu, Thorup: The Power of Simple Tabulation Hashing (linear probing)
 */
const WORDS_OF_BYTES = randomFillSync(new Uint32Array(OID_BYTES.sha256 * BYTE_VALUES));

/** A set of object ids as bytes: 40 bytes for an id of SHA-1, where a `Set` of texts takes 100. */
export class OidSet implements OidList {
  readonly #shards: (Shard | undefined)[] = [];
  /** Words of the id that is looked for. */
  readonly #key: Uint32Array;
  #size = 0;

  constructor(objectFormat: ObjectFormatName) {
    this.#key = new Uint32Array(OID_BYTES[objectFormat] / WORD_BYTES);
  }

  get size(): number {
    return this.#size;
  }

  has(oid: string): boolean {
    const hash = this.#take(oid);
    const shard = this.#shards[hash >>> SHARD_SHIFT];
    return shard !== undefined && shard.slots[this.#find(shard, hash)] !== 0;
  }

  /** Adds an id of the set's format. @returns false if it was there. */
  add(oid: string): boolean {
    const hash = this.#take(oid);
    let shard = this.#shards[hash >>> SHARD_SHIFT];
    if (shard === undefined || shard.size === shard.slots.length / 2) shard = this.#grow(shard, hash);
    const slot = this.#find(shard, hash);
    if (shard.slots[slot] !== 0) return false;
    shard.words.set(this.#key, shard.size * this.#key.length);
    shard.size++;
    shard.slots[slot] = shard.size;
    this.#size++;
    return true;
  }

  *[Symbol.iterator](): Generator<string> {
    for (const [, oid] of this.positions()) yield oid;
  }

  /** Returns the position of an id, or -1. Valid until the next {@link add}. */
  positionOf(oid: string): number {
    const hash = this.#take(oid);
    const number = hash >>> SHARD_SHIFT;
    const shard = this.#shards[number];
    const index = shard === undefined ? 0 : (shard.slots[this.#find(shard, hash)] ?? 0);
    return index === 0 ? -1 : (index - 1) * SHARDS + number;
  }

  /** A number above all positions: somewhat more than there are ids. */
  get positionLimit(): number {
    return SHARDS * this.#shards.reduce((most, shard) => Math.max(most, shard?.size ?? 0), 0);
  }

  /** Yields the position and the text of each id. */
  *positions(): Generator<readonly [number, string]> {
    const width = this.#key.length * WORD_BYTES;
    for (const [number, shard] of this.#shards.entries()) {
      if (shard === undefined) continue;
      for (let at = 0; at < shard.size; at++)
        yield [at * SHARDS + number, Buffer.from(shard.words.buffer, at * width, width).toString('hex')];
    }
  }

  /** Makes an id the one that is looked for. @returns its hash. */
  #take(oid: string): number {
    const key = this.#key;
    for (let word = 0, digit = 0; word < key.length; word++) {
      let value = 0;
      for (const shift of DIGIT_SHIFTS) {
        const code = oid.charCodeAt(digit++);
        value |= (code <= NINE ? code - ZERO : code - LETTER_OFFSET) << shift;
      }
      key[word] = value;
    }
    return this.#hashOf(key, 0);
  }

  /** Returns the hash of the id that begins at a word. */
  #hashOf(words: Uint32Array, start: number): number {
    let hash = 0;
    let at = 0;
    for (let word = start; word < start + this.#key.length; word++) {
      let bytes = words[word] ?? 0;
      for (let byte = 0; byte < WORD_BYTES; byte++, at += BYTE_VALUES, bytes >>>= 8)
        hash ^= WORDS_OF_BYTES[at + (bytes & 0xff)] ?? 0;
    }
    return hash >>> 0;
  }

  /** Returns the slot of the id that is looked for, or the free one where it belongs. */
  #find(shard: Shard, hash: number): number {
    const mask = shard.slots.length - 1;
    for (let slot = (hash >>> SLOT_SHIFT) & mask; ; slot = (slot + 1) & mask) {
      const number = shard.slots[slot] ?? 0;
      if (number === 0 || this.#isKey(shard.words, number - 1)) return slot;
    }
  }

  #isKey(words: Uint32Array, index: number): boolean {
    const key = this.#key;
    for (let word = 0; word < key.length; word++)
      if (words[index * key.length + word] !== key[word]) return false;
    return true;
  }

  #grow(before: Shard | undefined, hash: number): Shard {
    const capacity = before?.slots.length ?? FIRST_CAPACITY;
    const width = this.#key.length;
    const words = new Uint32Array(capacity * width);
    const slots = new Uint32Array(capacity * 2);
    const size = before?.size ?? 0;
    if (before !== undefined) words.set(before.words);
    const mask = slots.length - 1;
    for (let index = 0; index < size; index++) {
      let slot = (this.#hashOf(words, index * width) >>> SLOT_SHIFT) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = index + 1;
    }
    const grown = { words, slots, size };
    this.#shards[hash >>> SHARD_SHIFT] = grown;
    return grown;
  }
}
