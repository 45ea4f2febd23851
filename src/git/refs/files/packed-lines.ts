import { setImmediate } from 'node:timers/promises';
import { LENGTH_DIGITS, MAX_PACKET_BYTES, writePacketLength } from '#base/pkt-line/packet';
import { FallBackToGit } from '#git/in-process';
import type { OidDigits } from '#git/objects/object-id';
import { requireFullyPeeled, requireSorted } from './packed-refs.ts';
import type { PackedRefsFile } from './packed-refs-cache.ts';
import { type PackedRecord, packedRecords } from './scan-packed-refs.ts';

export interface LineOptions {
  /** Number of hex digits of an object id. */
  readonly digits: OidDigits;
  /** True if lines of tag objects end with the tag's target. */
  readonly peel: boolean;
}

const NAMESPACE = Buffer.from('refs/');
const PEELED = Buffer.from(' peeled:');
const SPACE = 0x20;
const LF = 0x0a;

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

/**
 * Reads a packed-refs file.
 *
 * @throws {FallBackToGit} when only git can interpret it.
 */
export async function readPackedLines(file: PackedRefsFile, options: LineOptions): Promise<PackedLines> {
  const { digits, peel } = options;
  requireSorted(file.source);
  if (peel && file.source.size > 0) requireFullyPeeled(file.source);
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

/** Checks the order: a binary search would fail in a file that wrongly claims to be sorted. */
function checkOrder(block: Buffer, records: readonly PackedRecord[], last: Buffer): void {
  const [first] = records;
  if (first !== undefined && Buffer.compare(last, block.subarray(first.nameStart, first.nameEnd)) >= 0)
    throw unsorted();
  for (let index = 1; index < records.length; index++) {
    const [before, after] = [records[index - 1], records[index]];
    if (before === undefined || after === undefined) continue;
    if (block.compare(block, after.nameStart, after.nameEnd, before.nameStart, before.nameEnd) >= 0)
      throw unsorted();
  }
}

function unsorted(): FallBackToGit {
  return new FallBackToGit('packed-refs is not sorted, although its header declares it');
}

function lengthOf(records: readonly PackedRecord[], options: LineOptions): number {
  let length = 0;
  for (const record of records) length += lineLength(record, options);
  return length;
}

function lineLength({ start, nameEnd, peeledStart }: PackedRecord, { digits, peel }: LineOptions): number {
  return LENGTH_DIGITS + (nameEnd - start) + (peel && peeledStart > 0 ? PEELED.length + digits : 0) + 1;
}

/** Writes a line. @returns the number of bytes written. */
function writeLine(
  lines: Buffer,
  at: number,
  line: LineOptions & { block: Buffer; record: PackedRecord },
): number {
  const { block, record, digits, peel } = line;
  const { start, nameEnd, peeledStart } = record;
  const length = lineLength(record, line);
  if (length > MAX_PACKET_BYTES) throw new FallBackToGit('a name is too long for a packet');
  writePacketLength(lines, at, length);
  let end = at + LENGTH_DIGITS;
  end += block.copy(lines, end, start, nameEnd);
  if (peel && peeledStart > 0) {
    end += PEELED.copy(lines, end);
    end += block.copy(lines, end, peeledStart, peeledStart + digits);
  }
  lines[end] = LF;
  return length;
}
