import { OID_BYTES } from '#git/objects/object-id';
import { isStoredName } from '../stored-name.ts';
import { broken } from './broken.ts';
import { ByteReader } from './byte-reader.ts';
import { STACK_LIMITS } from './limits.ts';

/** The kinds of blocks that lead to references. */
export type BlockType = 'ref' | 'index';

/** The bytes of a block. */
export interface BlockBytes {
  /** The block from its start, in the first one with the header of the file. */
  readonly data: Buffer;
  /** Length of the file's header, in the first block. */
  readonly headerBytes: number;
  /** Bytes of an object id. */
  readonly oidBytes: number;
}

/** The forms of a record's value, by the number that the format gives them. */
export const FORM = { deletion: 0, oid: 1, peeledOid: 2, symbolic: 3 } as const;

/** Marks in the form of a record that only git can read: an id of zeros, or another name. */
const FORM_MASK = 0x0f;
const ZERO_ID = 0x10;
const OTHER_NAME = 0x20;

/** A reference of a table, not followed. Exactly one of `oid` and `symbolicTarget` is set. */
export interface StackRef {
  readonly name: Buffer;
  readonly oid: string | undefined;
  /** Target of a tag object. */
  readonly peeledOid: string | undefined;
  readonly symbolicTarget: Buffer | undefined;
}

export const BLOCK_TYPES: Readonly<Record<number, BlockType | 'other'>> = {
  114: 'ref',
  105: 'index',
  108: 'other',
  111: 'other',
};
/** Bytes of the type and the length. */
export const BLOCK_HEAD_BYTES = 4;
const NO_ID = Buffer.alloc(OID_BYTES.sha256);
const COUNT_BYTES = 2;
const RESTART_BYTES = 3;
const FORM_BITS = 3;
/** Memory of a record in addition to its name. */
const RECORD_BYTES = 13;

/**
 * A decoded block of references, or of an index. All of it is checked, so that each way of
 * searching it has the same result.
 *
 * @see git: Documentation/technical/reftable
 */
export class Block {
  readonly type: BlockType;
  readonly count: number;
  /** Full names, one after another. */
  readonly #names: Buffer;
  readonly #nameEnds: Uint32Array;
  readonly #forms: Uint8Array;
  /** Positions of values in the data; in an index those of blocks in the file. */
  readonly #values: Float64Array;
  readonly #data: Buffer;
  readonly #oidBytes: number;
  /** The data as hexadecimal digits, when needed: faster than converting each id. */
  #hex: string | undefined;

  /** Decodes a block. @throws {FallBackToGit} at anything that git would not write. */
  constructor(type: BlockType, bytes: BlockBytes) {
    const { data, headerBytes, oidBytes } = bytes;
    const restarts = restartsOf(data, headerBytes + BLOCK_HEAD_BYTES);
    const decoder = new Decoder(type, bytes, restarts);
    decoder.decode();
    this.type = type;
    this.count = decoder.forms.length;
    this.#names = decoder.names();
    this.#nameEnds = Uint32Array.from(decoder.nameEnds);
    this.#forms = Uint8Array.from(decoder.forms);
    this.#values = Float64Array.from(decoder.values);
    this.#data = data;
    this.#oidBytes = oidBytes;
  }

  /** Memory in bytes. */
  get weight(): number {
    return 3 * this.#data.length + this.#names.length + this.count * RECORD_BYTES;
  }

  /** Returns the number of the first record whose name is not below `name`. */
  position(name: Buffer): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.compare(middle, name) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Compares a record's name with another, like `Buffer.compare`. */
  compare(record: number, name: Buffer): number {
    return -name.compare(this.#names, this.#nameStart(record), this.#nameEnds[record]);
  }

  name(record: number): Buffer {
    return this.#names.subarray(this.#nameStart(record), this.#nameEnds[record]);
  }

  /** Returns the position of the block to which a record of an index leads. */
  target(record: number): number {
    return this.#values[record] ?? 0;
  }

  /**
   * Returns the reference of a record; `undefined` if it was deleted.
   *
   * @throws {FallBackToGit} for an id of zeros.
   */
  ref(record: number): StackRef | undefined {
    const form = this.#forms[record] ?? 0;
    if ((form & ZERO_ID) !== 0) throw broken('a reference has an id of nothing');
    switch (form & FORM_MASK) {
      case FORM.deletion:
        return undefined;
      case FORM.symbolic:
        return {
          name: this.name(record),
          oid: undefined,
          peeledOid: undefined,
          symbolicTarget: this.#symbolicTarget(record),
        };
      default: {
        const start = this.target(record);
        const isPeeled = (form & FORM_MASK) === FORM.peeledOid;
        const peeledOid = isPeeled ? this.#oidAt(start + this.#oidBytes) : undefined;
        return { name: this.name(record), oid: this.#oidAt(start), peeledOid, symbolicTarget: undefined };
      }
    }
  }

  /**
   * Returns the references of records from one up to, but not including, another.
   *
   * @throws {FallBackToGit} for an id of zeros, and a name that git does not accept below `refs/`.
   */
  refs(from: number, to: number): StackRef[] {
    const refs: StackRef[] = [];
    for (let record = from; record < to; record++) {
      if (((this.#forms[record] ?? 0) & OTHER_NAME) !== 0) throw broken('a name is not one of git’s');
      const ref = this.ref(record);
      if (ref !== undefined) refs.push(ref);
    }
    return refs;
  }

  #symbolicTarget(record: number): Buffer {
    const reader = new ByteReader(this.#data, this.target(record), this.#data.length);
    const length = reader.varint();
    const start = reader.skip(length);
    return this.#data.subarray(start, start + length);
  }

  #oidAt(position: number): string {
    this.#hex ??= this.#data.toString('hex');
    return this.#hex.slice(2 * position, 2 * (position + this.#oidBytes));
  }

  #nameStart(record: number): number {
    return record === 0 ? 0 : (this.#nameEnds[record - 1] ?? 0);
  }
}

interface Restarts {
  readonly positions: ReadonlySet<number>;
  /** End of the records. */
  readonly recordsEnd: number;
}

/** Reads the table of records with full names at a block's end. */
function restartsOf(data: Buffer, recordsStart: number): Restarts {
  if (data.length < recordsStart + COUNT_BYTES) throw broken('a block is too short');
  const count = data.readUInt16BE(data.length - COUNT_BYTES);
  const recordsEnd = data.length - COUNT_BYTES - count * RESTART_BYTES;
  if (count === 0 || recordsEnd <= recordsStart) throw broken('a block has wrong restart points');
  const positions = new Set<number>();
  let last = 0;
  for (let at = recordsEnd; at < data.length - COUNT_BYTES; at += RESTART_BYTES) {
    const position = data.readUIntBE(at, RESTART_BYTES);
    if (position <= last) throw broken('restart points are not in order');
    positions.add(position);
    last = position;
  }
  return { positions, recordsEnd };
}

/** Decodes the records of a block. */
class Decoder {
  readonly nameEnds: number[] = [];
  readonly forms: number[] = [];
  readonly values: number[] = [];
  readonly #type: BlockType;
  readonly #bytes: BlockBytes;
  readonly #restarts: Restarts;
  /** Full names, one after another, and unused bytes. */
  #names: Buffer;
  #length = 0;

  constructor(type: BlockType, bytes: BlockBytes, restarts: Restarts) {
    this.#type = type;
    this.#bytes = bytes;
    this.#restarts = restarts;
    this.#names = Buffer.allocUnsafeSlow(2 * bytes.data.length);
  }

  /** Returns the names, in memory of their own. */
  names(): Buffer {
    const names = Buffer.allocUnsafeSlow(this.#length);
    this.#names.copy(names, 0, 0, this.#length);
    return names;
  }

  decode(): void {
    const { data, headerBytes } = this.#bytes;
    const { positions, recordsEnd } = this.#restarts;
    const reader = new ByteReader(data, headerBytes + BLOCK_HEAD_BYTES, recordsEnd);
    let restarts = 0;
    while (!reader.isAtEnd) {
      const isRestart = positions.has(reader.position);
      if (isRestart) restarts++;
      this.#record(reader, isRestart);
    }
    if (restarts !== positions.size) throw broken('a restart point is inside a record');
  }

  #record(reader: ByteReader, isRestart: boolean): void {
    const { data } = this.#bytes;
    const shared = reader.varint();
    const lengthAndForm = reader.varint();
    const length = Math.floor(lengthAndForm / 2 ** FORM_BITS);
    const form = lengthAndForm % 2 ** FORM_BITS;
    const start = this.#length;
    const before = start - (this.nameEnds.at(-2) ?? 0);
    if (shared > before || (isRestart && shared > 0)) throw broken('a prefix is too long');
    const suffixStart = reader.skip(length);
    const suffixEnd = suffixStart + length;
    if (data.compare(this.#names, start - before + shared, start, suffixStart, suffixEnd) <= 0)
      throw broken('names are not in order');
    this.#reserve(shared + length);
    this.#names.copyWithin(start, start - before, start - before + shared);
    data.copy(this.#names, start + shared, suffixStart, suffixEnd);
    this.#length = start + shared + length;
    this.nameEnds.push(this.#length);
    const value = this.#type === 'index' ? indexValue(reader, form) : this.#refValue(reader, form);
    this.values.push(value);
    this.forms.push(form | this.#marksOf(start, form, value));
  }

  /** Enlarges the buffer of names if a name needs it. */
  #reserve(length: number): void {
    const needed = this.#length + length;
    if (needed > STACK_LIMITS.nameBytes) throw broken('the names of a block are too long');
    if (needed <= this.#names.length) return;
    const larger = Buffer.allocUnsafeSlow(2 * needed);
    this.#names.copy(larger, 0, 0, this.#length);
    this.#names = larger;
  }

  #marksOf(nameStart: number, form: number, value: number): number {
    if (this.#type === 'index') return 0;
    const { data, oidBytes } = this.#bytes;
    const hasId = form === FORM.oid || form === FORM.peeledOid;
    const isZero = hasId && data.compare(NO_ID, 0, oidBytes, value, value + oidBytes) === 0;
    return (isZero ? ZERO_ID : 0) | (isStoredName(this.#names, nameStart, this.#length) ? 0 : OTHER_NAME);
  }

  #refValue(reader: ByteReader, form: number): number {
    reader.varint(); // the number of the change, which decides nothing: tables are in its order
    const start = reader.position;
    const { oidBytes } = this.#bytes;
    if (form === FORM.oid) reader.skip(oidBytes);
    else if (form === FORM.peeledOid) reader.skip(2 * oidBytes);
    else if (form === FORM.symbolic) reader.skip(reader.varint());
    else if (form !== FORM.deletion) throw broken('a value has an unknown form');
    return start;
  }
}

function indexValue(reader: ByteReader, form: number): number {
  if (form !== 0) throw broken('a value of an index has an unknown form');
  return reader.varint();
}
