import { setImmediate } from 'node:timers/promises';
import { OddReferencesError } from './odd-references.ts';
import { isFullyPeeled, isSorted } from './packed-refs.ts';
import type { PackedRefsFile } from './packed-refs-cache.ts';
import { type PackedRecord, packedRecords } from './scan-packed-refs.ts';

export interface LineOptions {
  /** Hex digits of an object id. */
  readonly digits: 40 | 64;
  /** Whether lines of tag objects end with what the tag leads to. */
  readonly peel: boolean;
}

const NAMESPACE = Buffer.from('refs/');
const PEELED = Buffer.from(' peeled:');
const LENGTH_DIGITS = 4;
const MAX_LINE_BYTES = 65520; // git: LARGE_PACKET_MAX
const SPACE = 0x20;
const LF = 0x0a;

/**
 * The references of a packed-refs file as git's `ls-refs` answers them: packets `<id> <name>[ peeled:<id>]\n` in the order of names. What
 * begins alike stands together, so an answer consists of a few pieces of it, however many references there are. Never changes.
 */
export class PackedLines {
  readonly #data: Buffer;
  /** Where each line starts, and the end. */
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

  /** The number of the first line whose name is not below `key`. */
  position(key: Buffer): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#data.compare(key, 0, key.length, this.#nameStart(middle), this.#nameEnd(middle)) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  name(line: number): Buffer {
    return this.#data.subarray(this.#nameStart(line), this.#nameEnd(line));
  }

  /** What a line says of a reference. `peeledOid` is never set when the lines were made without. */
  find(name: Buffer): { readonly oid: string; readonly peeledOid: string | undefined } | undefined {
    const line = this.position(name);
    if (line === this.count || !this.name(line).equals(name)) return undefined;
    const end = this.#start(line + 1) - 1;
    const start = this.#start(line) + LENGTH_DIGITS;
    return {
      oid: this.#data.toString('latin1', start, start + this.#digits),
      peeledOid: this.#nameEnd(line) === end ? undefined : this.#data.toString('latin1', end - this.#digits, end),
    };
  }

  /** The lines from one to before another. */
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
    // No name has a space in it.
    return peeling > this.#nameStart(line) && this.#data[peeling] === SPACE ? peeling : end;
  }
}

/**
 * Reads a packed-refs file.
 *
 * @throws {OddReferencesError} when only git can tell what it says.
 */
export async function readPackedLines(file: PackedRefsFile, options: LineOptions): Promise<PackedLines> {
  const { digits, peel } = options;
  if (!isSorted(file.source)) throw new OddReferencesError('packed-refs is not sorted');
  if (peel && file.source.size > 0 && !isFullyPeeled(file.source)) throw new OddReferencesError('packed-refs is not peeled');
  const blocks: Buffer[] = [];
  const starts: number[] = [];
  let length = 0;
  let last: Buffer = Buffer.alloc(0);
  for await (const { block, records } of packedRecords(file, { from: NAMESPACE, digits })) {
    checkOrder(block, records, last);
    const end = records.at(-1);
    if (end !== undefined) last = block.subarray(end.nameStart, end.nameEnd);
    const lines = Buffer.allocUnsafeSlow(lengthOf(records, options));
    let at = 0;
    for (const record of records) {
      starts.push(length + at);
      at += writeLine(lines, at, { block, record, ...options });
    }
    blocks.push(lines);
    length += lines.length;
    await setImmediate();
  }
  starts.push(length);
  return new PackedLines(Buffer.concat(blocks, length), Uint32Array.from(starts), digits);
}

/** A search would go astray in a file that only says that it is sorted. */
function checkOrder(block: Buffer, records: readonly PackedRecord[], last: Buffer): void {
  const [first] = records;
  if (first !== undefined && Buffer.compare(last, block.subarray(first.nameStart, first.nameEnd)) >= 0) throw unsorted();
  for (let index = 1; index < records.length; index++) {
    const [before, after] = [records[index - 1], records[index]];
    if (before === undefined || after === undefined) continue;
    if (block.compare(block, after.nameStart, after.nameEnd, before.nameStart, before.nameEnd) >= 0) throw unsorted();
  }
}

function unsorted(): OddReferencesError {
  return new OddReferencesError('packed-refs says that it is sorted, and is not');
}

function lengthOf(records: readonly PackedRecord[], options: LineOptions): number {
  let length = 0;
  for (const record of records) length += lineLength(record, options);
  return length;
}

function lineLength({ start, nameEnd, peeledStart }: PackedRecord, { digits, peel }: LineOptions): number {
  return LENGTH_DIGITS + (nameEnd - start) + (peel && peeledStart > 0 ? PEELED.length + digits : 0) + 1;
}

/** @returns the number of bytes written. */
function writeLine(lines: Buffer, at: number, line: LineOptions & { block: Buffer; record: PackedRecord }): number {
  const { block, record, digits, peel } = line;
  const { start, nameEnd, peeledStart } = record;
  const length = lineLength(record, line);
  if (length > MAX_LINE_BYTES) throw new OddReferencesError('a name is too long for a packet');
  let end = at + writePacketLength(lines, at, length);
  end += block.copy(lines, end, start, nameEnd);
  if (peel && peeledStart > 0) {
    end += PEELED.copy(lines, end);
    end += block.copy(lines, end, peeledStart, peeledStart + digits);
  }
  lines[end] = LF;
  return length;
}

const HEX = Buffer.from('0123456789abcdef');

function writePacketLength(lines: Buffer, at: number, length: number): number {
  for (let digit = 0; digit < LENGTH_DIGITS; digit++) lines[at + digit] = HEX[(length >>> (12 - 4 * digit)) & 15] ?? 0;
  return LENGTH_DIGITS;
}
