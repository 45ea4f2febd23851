import { GitalyError } from '#base/gitaly-error';
import { type Oid, type OidBytes, oidAt } from '#git/names/object-id';

const SPACE = 0x20;
const ZERO = 0x30;
const MAX_MODE_DIGITS = 7;

/**
 * Iterates over the entries of a tree object in git's order, `<octal mode> <name>\0<raw oid>`,
 * without building objects: large directories have thousands of entries, of which often one is
 * needed.
 */
export class TreeCursor {
  readonly data: Buffer;
  /** 20 (SHA-1) or 32 (SHA-256). */
  readonly oidBytes: OidBytes;
  /** Mode of the current entry as git stores it. */
  mode = 0;
  /** Start and end of the current entry's name; the id follows after one more byte. */
  nameAt = 0;
  nameEnd = 0;
  /** Start of the current entry; the end of the data after the last one. */
  start = 0;
  #next = 0;

  constructor(data: Buffer, oidBytes: OidBytes) {
    this.data = data;
    this.oidBytes = oidBytes;
  }

  /** End of the current entry, where the next one starts. */
  get end(): number {
    return this.#next;
  }

  /** Moves to a position where an entry starts, or to the end. @throws as {@link next}. */
  moveTo(position: number): boolean {
    this.#next = position;
    return this.next();
  }

  /**
   * Moves to the next entry; returns false at the end.
   *
   * @throws {GitalyError} without a code, `malformed tree object`, when the data end early, a mode
   *   is not octal, or a name is empty.
   */
  next(): boolean {
    const { data } = this;
    const start = this.#next;
    this.start = start;
    if (start >= data.length) return false;
    let at = start;
    let mode = 0;
    for (let digit = data[at]; digit !== SPACE; digit = data[++at]) {
      if (digit === undefined || digit < ZERO || digit > ZERO + 7 || at - start >= MAX_MODE_DIGITS)
        throw malformed(start);
      mode = mode * 8 + digit - ZERO;
    }
    const nameAt = at + 1;
    at = nameAt;
    while (data[at] !== 0) if (++at >= data.length) throw malformed(start);
    const next = at + 1 + this.oidBytes;
    if (nameAt === start + 1 || at === nameAt || next > data.length) throw malformed(start);
    this.mode = mode;
    this.nameAt = nameAt;
    this.nameEnd = at;
    this.#next = next;
    return true;
  }

  /** Returns the name of the current entry as a view. */
  name(): Buffer {
    return this.data.subarray(this.nameAt, this.nameEnd);
  }

  /** Returns the id of the current entry in hex. */
  oid(): Oid {
    return oidAt(this.data, this.nameEnd + 1, this.oidBytes);
  }

  isNamed(name: Uint8Array): boolean {
    if (this.nameEnd - this.nameAt !== name.length) return false;
    // Names of one directory often begin alike. A native comparison costs as much as 40 of these.
    for (let at = this.nameEnd, index = name.length; index > 0; )
      if (this.data[--at] !== name[--index]) return false;
    return true;
  }
}

function malformed(offset: number): GitalyError {
  return new GitalyError('UNKNOWN', 'malformed tree object', { metadata: { offset } });
}
