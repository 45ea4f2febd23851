/** Bytes that are compared at a time: those of a line, or of an entry of a directory. */
const BLOCK = 16;
const FACTOR = 0x01_00_01_93;
/** Factor of the byte that leaves a block of the rolling hash. */
const LEAVING = Array.from({ length: BLOCK - 1 }).reduce<number>((power) => Math.imul(power, FACTOR), 1);
/** Upper bits of the hash depend on all bytes of a block. */
const SPREAD = 0x9e_37_79_b1;
const MAX_COPY = 0x1_00_00;
const MAX_INSERT = 0x7f;
/** Code, 4 bytes of the position, 3 of the size. */
const COPY_BYTES = 8;
const COPY = 0x80;

/**
 * Makes a delta in git's format, which turns one object into another.
 *
 * @param maxBytes Limit of its length.
 * @returns `undefined` if it would be longer.
 */
export function encodeDelta(base: Buffer, target: Buffer, maxBytes: number): Buffer | undefined {
  const output = new DeltaOutput(target, maxBytes);
  output.addSize(base.length);
  output.addSize(target.length);
  const blocks = new Blocks(base);
  /** Start of the bytes that are in no block, and of the next block to be looked for. */
  let [start, at] = [0, 0];
  let hash = hashOf(target, 0);
  while (at + BLOCK <= target.length) {
    const found = blocks.find(hash);
    const length = found === -1 ? 0 : equalBytes(base, found, target, at);
    if (length < BLOCK) {
      if (at - start > maxBytes) return undefined;
      hash = rolled(hash, target, at++);
      continue;
    }
    let back = 0;
    while (back < Math.min(found, at - start) && base[found - back - 1] === target[at - back - 1]) back++;
    if (!output.insert(start, at - back) || !output.copy(found - back, length + back)) return undefined;
    start = at + length;
    at = start;
    hash = hashOf(target, at);
  }
  return output.insert(start, target.length) ? output.bytes : undefined;
}

/** The blocks of an object by their hash: the first of those with the same place in the table. */
class Blocks {
  readonly #table: Int32Array;
  readonly #shift: number;

  constructor(base: Buffer) {
    const bits = Math.max(4, Math.ceil(Math.log2(base.length / BLOCK + 1)) + 1);
    this.#shift = 32 - bits;
    this.#table = new Int32Array(2 ** bits);
    for (let at = 0; at + BLOCK <= base.length; at += BLOCK) {
      const slot = this.#slotOf(hashOf(base, at));
      if (this.#table[slot] === 0) this.#table[slot] = at + 1;
    }
  }

  /** Returns the position of a block, which may be another one; -1 for none. */
  find(hash: number): number {
    return (this.#table[this.#slotOf(hash)] ?? 0) - 1;
  }

  #slotOf(hash: number): number {
    return Math.imul(hash, SPREAD) >>> this.#shift;
  }
}

function hashOf(bytes: Buffer, start: number): number {
  let hash = 0;
  for (let at = start; at < start + BLOCK; at++) hash = (Math.imul(hash, FACTOR) + (bytes[at] ?? 0)) | 0;
  return hash;
}

/** Returns the hash of the block that begins a byte later. */
function rolled(hash: number, bytes: Buffer, at: number): number {
  const rest = (hash - Math.imul(bytes[at] ?? 0, LEAVING)) | 0;
  return (Math.imul(rest, FACTOR) + (bytes[at + BLOCK] ?? 0)) | 0;
}

function equalBytes(one: Buffer, start: number, other: Buffer, at: number): number {
  const limit = Math.min(one.length - start, other.length - at);
  let length = 0;
  while (length < limit && one[start + length] === other[at + length]) length++;
  return length;
}

/** Writes a delta up to a limit. */
class DeltaOutput {
  readonly #target: Buffer;
  readonly #memory: Buffer;
  #length = 0;

  constructor(target: Buffer, maxBytes: number) {
    this.#target = target;
    this.#memory = Buffer.allocUnsafe(maxBytes + 2 * COPY_BYTES);
  }

  get bytes(): Buffer {
    return this.#memory.subarray(0, this.#length);
  }

  /** Adds a size, 7 bits in each byte, the lowest first. */
  addSize(size: number): void {
    let rest = size;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.#add(0x80 | (rest & 0x7f));
    this.#add(rest);
  }

  /** Adds bytes of the target; returns false if they do not fit. */
  insert(start: number, end: number): boolean {
    for (let at = start; at < end; at += MAX_INSERT) {
      const length = Math.min(end - at, MAX_INSERT);
      if (!this.#fits(1 + length)) return false;
      this.#add(length);
      this.#length += this.#target.copy(this.#memory, this.#length, at, at + length);
    }
    return true;
  }

  /** Adds a copy of bytes of the base; returns false if they do not fit. */
  copy(start: number, length: number): boolean {
    for (let done = 0; done < length; done += MAX_COPY) {
      if (!this.#fits(COPY_BYTES)) return false;
      const size = Math.min(length - done, MAX_COPY);
      const codeAt = this.#length;
      this.#add(0);
      // The largest size is written as zero.
      const code = this.#addBytes(start + done, 0x01) | this.#addBytes(size % MAX_COPY, 0x10);
      this.#memory[codeAt] = COPY | code;
    }
    return true;
  }

  /** Adds the bytes of a number that are not zero, the lowest first. @returns their bits. */
  #addBytes(value: number, firstBit: number): number {
    let bits = 0;
    for (let rest = value, bit = firstBit; rest > 0; rest = Math.floor(rest / 0x100), bit <<= 1)
      if ((rest & 0xff) !== 0) {
        this.#add(rest & 0xff);
        bits |= bit;
      }
    return bits;
  }

  #add(byte: number): void {
    this.#memory[this.#length++] = byte;
  }

  #fits(bytes: number): boolean {
    return this.#length + bytes <= this.#memory.length;
  }
}
