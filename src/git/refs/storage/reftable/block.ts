import { OID_BYTES } from '#git/names/object-id';
import { isStoredName } from '#git/names/stored-name';
import { broken } from './broken.ts';
import { ByteReader } from './byte-reader.ts';
import { STACK_LIMITS } from './limits.ts';

/** The kinds of blocks that lead to references. */
export type BlockType = 'ref' | 'index';

export interface BlockBytes {
  /** The block from its start, in the first one with the header of the file. */
  readonly data: Buffer;
  /** Length of the file's header, in the first block. */
  readonly headerBytes: number;
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

/** The types by their letters: `r`, `i`, `g` and `o`. */
export const BLOCK_TYPES: Readonly<Record<number, BlockType | 'log' | 'object'>> = {
  114: 'ref',
  105: 'index',
  103: 'log',
  111: 'object',
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
  /** The data as hexadecimal digits, for lists: faster than converting each id. */
  #hex: string | undefined;
  #areNamesMarked = false;

  /**
   * Decodes a block. @throws {FallBackToGit} at anything that git would not write.
   *
   * @param around decodes only the records among which a name would be, of a block that was decoded
   *   as a whole before.
   */
  constructor(type: BlockType, bytes: BlockBytes, around?: Buffer) {
    const { data, headerBytes, oidBytes } = bytes;
    const all = restartsOf(data, headerBytes + BLOCK_HEAD_BYTES, around !== undefined);
    const restarts = around === undefined ? all : partAround(data, all.recordsEnd, around);
    const decoder = new Decoder(type, bytes, restarts);
    decoder.decode();
    this.type = type;
    const { count } = decoder;
    this.count = count;
    this.#names = decoder.names();
    // For git, such a name ends there: a list may pass over others, or end.
    if (this.#names.includes(0)) throw broken('a name contains NUL');
    this.#nameEnds = scratch.nameEnds.slice(0, count);
    this.#forms = scratch.forms.slice(0, count);
    this.#values = scratch.values.slice(0, count);
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
    this.#markNames();
    if (to > from) this.#hex ??= this.#data.toString('hex');
    const refs: StackRef[] = [];
    for (let record = from; record < to; record++) {
      if (((this.#forms[record] ?? 0) & OTHER_NAME) !== 0) throw broken('a name is not one of git’s');
      const ref = this.ref(record);
      if (ref !== undefined) refs.push(ref);
    }
    return refs;
  }

  /** Marks names that git does not accept: once, and only for lists. Lookups bring their name. */
  #markNames(): void {
    if (this.#areNamesMarked) return;
    for (let record = 0; record < this.count; record++)
      if (!isStoredName(this.#names, this.#nameStart(record), this.#nameEnds[record] ?? 0))
        this.#forms[record] = (this.#forms[record] ?? 0) | OTHER_NAME;
    this.#areNamesMarked = true;
  }

  #symbolicTarget(record: number): Buffer {
    const reader = new ByteReader(this.#data, this.target(record), this.#data.length);
    const length = reader.varint();
    const start = reader.skip(length);
    return this.#data.subarray(start, start + length);
  }

  #oidAt(position: number): string {
    const end = position + this.#oidBytes;
    if (this.#hex === undefined) return this.#data.toString('hex', position, end);
    return this.#hex.slice(2 * position, 2 * end);
  }

  #nameStart(record: number): number {
    return record === 0 ? 0 : (this.#nameEnds[record - 1] ?? 0);
  }
}

interface Restarts {
  readonly positions: ReadonlySet<number>;
  readonly recordsStart: number;
  readonly recordsEnd: number;
}

/** Reads the table of records with full names at a block's end. @param isChecked leaves it out. */
function restartsOf(data: Buffer, recordsStart: number, isChecked: boolean): Restarts {
  if (data.length < recordsStart + COUNT_BYTES) throw broken('a block is too short');
  const count = data.readUInt16BE(data.length - COUNT_BYTES);
  const recordsEnd = data.length - COUNT_BYTES - count * RESTART_BYTES;
  if (count === 0 || recordsEnd <= recordsStart) throw broken('a block has wrong restart points');
  const positions = new Set<number>();
  if (isChecked) return { positions, recordsStart, recordsEnd };
  let last = 0;
  for (let at = recordsEnd; at < data.length - COUNT_BYTES; at += RESTART_BYTES) {
    const position = data.readUIntBE(at, RESTART_BYTES);
    if (position <= last) throw broken('restart points are not in order');
    positions.add(position);
    last = position;
  }
  return { positions, recordsStart, recordsEnd };
}

/** Finds the records between two restart points among which a name would be. */
function partAround(data: Buffer, recordsEnd: number, name: Buffer): Restarts {
  const position = (restart: number): number =>
    data.readUIntBE(recordsEnd + restart * RESTART_BYTES, RESTART_BYTES);
  const count = data.readUInt16BE(data.length - COUNT_BYTES);
  let low = 0;
  let high = count - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (compareFullName(data, position(middle), name) > 0) high = middle - 1;
    else low = middle;
  }
  const recordsStart = position(low);
  return {
    positions: new Set([recordsStart]),
    recordsStart,
    recordsEnd: low === count - 1 ? recordsEnd : position(low + 1),
  };
}

/** Compares the name of a record at a restart point with another, like `Buffer.compare`. */
function compareFullName(data: Buffer, position: number, name: Buffer): number {
  const reader = new ByteReader(data, position, data.length);
  reader.varint();
  const length = Math.floor(reader.varint() / 2 ** FORM_BITS);
  const start = reader.skip(length);
  return -name.compare(data, start, start + length);
}

/** Bytes of the shortest record: the lengths of the prefix and the suffix, the suffix, a number. */
const MIN_RECORD_BYTES = 4;

/** Memory for decoding one block, used by all: decoding waits for nothing. */
const scratch = {
  names: Buffer.alloc(0),
  nameEnds: new Uint32Array(0),
  forms: new Uint8Array(0),
  values: new Float64Array(0),
};

/** Provides scratch memory for a block. It keeps the size of the largest. */
function reserveRecords(blockBytes: number): void {
  const count = Math.ceil(blockBytes / MIN_RECORD_BYTES);
  if (count <= scratch.forms.length) return;
  scratch.nameEnds = new Uint32Array(count);
  scratch.forms = new Uint8Array(count);
  scratch.values = new Float64Array(count);
}

/** Decodes the records of a block into the scratch memory. */
class Decoder {
  count = 0;
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
    reserveRecords(bytes.data.length);
    this.#names = scratch.names;
  }

  /** Returns the names, in memory of their own. */
  names(): Buffer {
    const names = Buffer.allocUnsafeSlow(this.#length);
    this.#names.copy(names, 0, 0, this.#length);
    return names;
  }

  decode(): void {
    const { positions, recordsStart, recordsEnd } = this.#restarts;
    const reader = new ByteReader(this.#bytes.data, recordsStart, recordsEnd);
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
    const record = this.count++;
    const before = start - (record < 2 ? 0 : (scratch.nameEnds[record - 2] ?? 0));
    if (shared > before || (isRestart && shared > 0)) throw broken('a prefix is too long');
    const suffixStart = reader.skip(length);
    const suffixEnd = suffixStart + length;
    if (!this.#isAfter(start - before + shared, suffixStart, suffixEnd))
      throw broken('names are not in order');
    this.#reserve(shared + length);
    copyBytes(this.#names, start - before, { to: this.#names, at: start, length: shared });
    copyBytes(data, suffixStart, { to: this.#names, at: start + shared, length });
    this.#length = start + shared + length;
    scratch.nameEnds[record] = this.#length;
    const value = this.#type === 'index' ? indexValue(reader, form) : this.#refValue(reader, form);
    scratch.values[record] = value;
    scratch.forms[record] = this.#type === 'ref' && this.#isZeroId(form, value) ? form | ZERO_ID : form;
  }

  /** Reports whether bytes of the block come after the rest of the last name, from a position. */
  #isAfter(rest: number, from: number, end: number): boolean {
    const { data } = this.#bytes;
    const names = this.#names;
    let last = rest;
    for (let at = from; at < end; at++, last++) {
      if (last === this.#length) return true;
      const difference = (data[at] ?? 0) - (names[last] ?? 0);
      if (difference !== 0) return difference > 0;
    }
    return false;
  }

  /** Enlarges the buffer of names if a name needs it. */
  #reserve(length: number): void {
    const needed = this.#length + length;
    if (needed > STACK_LIMITS.nameBytes) throw broken('the names of a block are too long');
    if (needed <= this.#names.length) return;
    const larger = Buffer.allocUnsafeSlow(2 * needed);
    this.#names.copy(larger, 0, 0, this.#length);
    this.#names = larger;
    scratch.names = larger;
  }

  #isZeroId(form: number, value: number): boolean {
    const { data, oidBytes } = this.#bytes;
    if (data[value] !== 0 || (form !== FORM.oid && form !== FORM.peeledOid)) return false;
    return data.compare(NO_ID, 0, oidBytes, value, value + oidBytes) === 0;
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

/** Copies bytes one by one: names are short, and a call of the runtime costs more. */
function copyBytes(
  source: Buffer,
  from: number,
  { to, at, length }: { readonly to: Buffer; readonly at: number; readonly length: number },
): void {
  for (let index = 0; index < length; index++) to[at + index] = source[from + index] ?? 0;
}

function indexValue(reader: ByteReader, form: number): number {
  if (form !== 0) throw broken('a value of an index has an unknown form');
  return reader.varint();
}
