import { GitalyError } from '#base/gitaly-error';

const SPACE = 0x20;
const ZERO = 0x30;
const MAX_MODE_DIGITS = 7;

/**
 * Goes through the entries of a tree object in git's order, `<octal mode> <name>\0<raw oid>`, without making anything of them: directories
 * have thousands of entries of which often one is wanted.
 */
export class TreeCursor {
  readonly data: Buffer;
  /** 20 (SHA-1) or 32 (SHA-256). */
  readonly oidBytes: 20 | 32;
  /** Of the current entry, as git keeps it. */
  mode = 0;
  /** Where the name of the current entry begins, and where it ends; the id is one byte further. */
  nameAt = 0;
  nameEnd = 0;
  #next = 0;

  constructor(data: Buffer, oidBytes: 20 | 32) {
    this.data = data;
    this.oidBytes = oidBytes;
  }

  /**
   * Goes on to the next entry; false at the end.
   *
   * @throws {GitalyError} without a code of its own, `malformed tree object`, when the data end early or a mode is not octal.
   */
  next(): boolean {
    const { data } = this;
    const start = this.#next;
    if (start >= data.length) return false;
    let at = start;
    let mode = 0;
    for (let digit = data[at]; digit !== SPACE; digit = data[++at]) {
      if (digit === undefined || digit < ZERO || digit > ZERO + 7 || at - start >= MAX_MODE_DIGITS) throw malformed(start);
      mode = mode * 8 + digit - ZERO;
    }
    const nameAt = at + 1;
    at = nameAt;
    while (data[at] !== 0) if (++at >= data.length) throw malformed(start);
    const next = at + 1 + this.oidBytes;
    if (nameAt === start + 1 || next > data.length) throw malformed(start);
    this.mode = mode;
    this.nameAt = nameAt;
    this.nameEnd = at;
    this.#next = next;
    return true;
  }

  /** The name of the current entry, a view. */
  name(): Buffer {
    return this.data.subarray(this.nameAt, this.nameEnd);
  }

  /** The id of the current entry, in hex. */
  oid(): string {
    return this.data.toString('hex', this.nameEnd + 1, this.nameEnd + 1 + this.oidBytes);
  }

  /** Whether the current entry has this name. */
  isNamed(name: Uint8Array): boolean {
    return this.nameEnd - this.nameAt === name.length && this.data.compare(name, 0, name.length, this.nameAt, this.nameEnd) === 0;
  }
}

/** The bytes of an object id, by the length of it in hex. */
export function oidBytesOf(oid: string): 20 | 32 {
  return oid.length === 40 ? 20 : 32;
}

function malformed(offset: number): GitalyError {
  return new GitalyError('UNKNOWN', 'malformed tree object', { metadata: { offset } });
}
