import { LENGTH_DIGITS } from '#base/pkt-line/packet';
import type { OidDigits } from '#git/names/object-id';

export interface LineOptions {
  /** Number of hex digits of an object id. */
  readonly digits: OidDigits;
  /** True if lines of tag objects end with the tag's target. */
  readonly peel: boolean;
}

const PEELED = Buffer.from(' peeled:');
const SPACE = 0x20;

/**
 * The references of a packed-refs file in the format of git's `ls-refs`: packets `<id> <name>[
 * peeled:<id>]\n` in the order of names. Names with a common prefix are adjacent, so a response
 * consists of a few slices, however many references there are. It is immutable.
 */
export class PackedLines {
  readonly #data: Buffer;
  /** Start of each line, and the end. */
  readonly #starts: Uint32Array;
  readonly #digits: number;

  constructor(data: Buffer, starts: Uint32Array, digits: number) {
    this.#data = data;
    this.#starts = starts;
    this.#digits = digits;
  }

  get count(): number {
    return this.#starts.length - 1;
  }

  get bytes(): number {
    return this.#data.length + this.#starts.byteLength;
  }

  /** Returns the number of the first line whose name is not below `key`. */
  position(key: Buffer): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#data.compare(key, 0, key.length, this.#nameStart(middle), this.#nameEnd(middle)) < 0)
        low = middle + 1;
      else high = middle;
    }
    return low;
  }

  name(line: number): Buffer {
    return this.#data.subarray(this.#nameStart(line), this.#nameEnd(line));
  }

  /**
   * Returns the values of a reference. `peeledOid` is never set if the lines were built without
   * peeled ids.
   */
  find(name: Buffer): { readonly oid: string; readonly peeledOid: string | undefined } | undefined {
    const line = this.position(name);
    if (line === this.count || !this.name(line).equals(name)) return undefined;
    const end = this.#start(line + 1) - 1;
    const start = this.#start(line) + LENGTH_DIGITS;
    return {
      oid: this.#data.toString('latin1', start, start + this.#digits),
      peeledOid:
        this.#nameEnd(line) === end ? undefined : this.#data.toString('latin1', end - this.#digits, end),
    };
  }

  /** Returns the lines from one up to, but not including, another. */
  slice(from: number, to: number): Buffer {
    return this.#data.subarray(this.#start(from), this.#start(to));
  }

  #start(line: number): number {
    return this.#starts[line] ?? this.#data.length;
  }

  #nameStart(line: number): number {
    return this.#start(line) + LENGTH_DIGITS + this.#digits + 1;
  }

  #nameEnd(line: number): number {
    const end = this.#start(line + 1) - 1;
    const peeling = end - this.#digits - PEELED.length;
    // Names contain no space.
    return peeling > this.#nameStart(line) && this.#data[peeling] === SPACE ? peeling : end;
  }
}
