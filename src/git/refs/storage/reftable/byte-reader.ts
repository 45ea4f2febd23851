import { broken } from './broken.ts';

const MORE = 0x80;
const LOW_BITS = 0x7f;
/** Numbers beyond it are not exact, and no valid table has one. */
const MAX_NUMBER = 2 ** 45;

/** Reads the fields of a block one after another, up to an end. */
export class ByteReader {
  position: number;
  readonly #data: Buffer;
  readonly #end: number;

  constructor(data: Buffer, start: number, end: number) {
    this.#data = data;
    this.position = start;
    this.#end = end;
  }

  get isAtEnd(): boolean {
    return this.position === this.#end;
  }

  /** Reads a number of variable length. @throws {FallBackToGit} at the end. */
  varint(): number {
    let byte = this.#byte();
    let value = byte & LOW_BITS;
    while (byte >= MORE) {
      byte = this.#byte();
      value = (value + 1) * MORE + (byte & LOW_BITS);
      if (value > MAX_NUMBER) throw broken('a number is too large');
    }
    return value;
  }

  /** Skips bytes, and returns their position. @throws {FallBackToGit} when there are too few. */
  skip(length: number): number {
    const start = this.position;
    if (length > this.#end - start) throw broken('a record ends early');
    this.position += length;
    return start;
  }

  #byte(): number {
    return this.#data[this.skip(1)] ?? 0;
  }
}
