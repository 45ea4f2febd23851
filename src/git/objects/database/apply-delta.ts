import { FallBackToGit } from '#git/command/in-process';

const COPY = 0x80;
/** Size of a copy whose size is given as zero. */
const DEFAULT_COPY = 0x1_00_00;

/** Reads the bytes of a delta one after another. */
class DeltaReader {
  readonly #delta: Buffer;
  #at = 0;

  constructor(delta: Buffer) {
    this.#delta = delta;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#delta.length;
  }

  byte(): number {
    const byte = this.#delta[this.#at++];
    if (byte === undefined) throw broken();
    return byte;
  }

  /** Reads a number of 7 bits per byte, the lowest first. */
  size(): number {
    let size = 0;
    let factor = 1;
    for (;;) {
      const byte = this.byte();
      size += (byte & 0x7f) * factor;
      if (!Number.isSafeInteger(size)) throw broken();
      if (byte < 0x80) return size;
      factor *= 0x80;
    }
  }

  /** Reads the bytes that a mask selects, the lowest first; the others are zero. */
  masked(mask: number, bytes: number): number {
    let value = 0;
    for (let index = 0; index < bytes; index++) {
      if ((mask & (1 << index)) !== 0) value += this.byte() * 0x100 ** index;
    }
    return value;
  }

  bytes(length: number): Buffer {
    const bytes = this.#delta.subarray(this.#at, this.#at + length);
    if (bytes.length < length) throw broken();
    this.#at += length;
    return bytes;
  }
}

/** Returns the size of a delta's result, from its first bytes. @throws {FallBackToGit} */
export function resultSizeOf(delta: Buffer): number {
  const reader = new DeltaReader(delta);
  reader.size();
  return reader.size();
}

/**
 * Makes an object from its base and a delta in git's format.
 *
 * @param maxBytes Limit of the result.
 * @throws {FallBackToGit} for a broken delta, and for a larger result.
 */
export function applyDelta(base: Buffer, delta: Buffer, maxBytes: number): Buffer {
  const reader = new DeltaReader(delta);
  if (reader.size() !== base.length) throw broken();
  const size = reader.size();
  if (size > maxBytes) throw new FallBackToGit('an object is too large');
  const result = Buffer.allocUnsafeSlow(size);
  let filled = 0;
  while (!reader.isAtEnd) {
    const code = reader.byte();
    const piece = (code & COPY) === 0 ? reader.bytes(code) : copied(base, reader, code);
    if (piece.length === 0 || filled + piece.length > size) throw broken();
    piece.copy(result, filled);
    filled += piece.length;
  }
  if (filled !== size) throw broken();
  return result;
}

function copied(base: Buffer, reader: DeltaReader, code: number): Buffer {
  const start = reader.masked(code, 4);
  const size = reader.masked(code >>> 4, 3) || DEFAULT_COPY;
  const piece = base.subarray(start, start + size);
  if (piece.length < size) throw broken();
  return piece;
}

function broken(): FallBackToGit {
  return new FallBackToGit('a delta is broken');
}
