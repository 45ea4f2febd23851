import { FallBackToGit } from '#git/command/in-process';

const COPY = 0x80;
/** Size of a copy whose size is given as zero. */
const DEFAULT_COPY = 0x1_00_00;
const SHORT_BYTES = 64;

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
    for (let index = 0, factor = 1; index < bytes; index++, factor *= 0x100) {
      if ((mask & (1 << index)) !== 0) value += this.byte() * factor;
    }
    return value;
  }

  /** Skips bytes. Returns their position. */
  skip(length: number): number {
    const start = this.#at;
    this.#at += length;
    return start;
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
    const isCopy = (code & COPY) !== 0;
    const start = isCopy ? reader.masked(code, 4) : reader.skip(code);
    const length = isCopy ? reader.masked(code >>> 4, 3) || DEFAULT_COPY : code;
    const source = isCopy ? base : delta;
    if (length === 0 || filled + length > size || start + length > source.length) throw broken();
    copyBytes(source, start, length, { target: result, at: filled });
    filled += length;
  }
  if (filled !== size) throw broken();
  return result;
}

/** Copies bytes. Most pieces are short, and a call of `copy` takes as long as a loop of 64 bytes. */
function copyBytes(
  source: Buffer,
  start: number,
  length: number,
  { target, at }: { readonly target: Buffer; readonly at: number },
): void {
  if (length > SHORT_BYTES) source.copy(target, at, start, start + length);
  else for (let index = 0; index < length; index++) target[at + index] = source[start + index] ?? 0;
}

function broken(): FallBackToGit {
  return new FallBackToGit('a delta is broken');
}
