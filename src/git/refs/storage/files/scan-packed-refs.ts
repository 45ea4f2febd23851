import { FallBackToGit } from '#git/command/in-process';
import type { OidDigits } from '#git/names/object-id';
import { beginsWith } from '#git/names/prefixes';
import { isStoredName } from '#git/names/stored-name';
import type { ListedRef } from '../listed-ref.ts';
import { findPackedPosition, isFullyPeeled } from './packed-refs.ts';
import type { PackedRefsFile } from './packed-refs-cache.ts';

/**
 * The first read is small, so that the first references are available at once; later ones are large
 * for speed.
 */
const FIRST_READ_BYTES = 16 * 1024;
const READ_BYTES = 256 * 1024;

const LF = 0x0a;
const PEELED = 0x5e;
const SPACE = 0x20;
const ZERO = 0x30;
const NOT_HEX = Uint8Array.from({ length: 256 }, (_, byte) =>
  /[0-9a-f]/.test(String.fromCharCode(byte)) ? 0 : 1,
);

export interface ScanOptions {
  /** Prefix of the names. */
  readonly prefix: Buffer;
  /** Number of hex digits of an object id. */
  readonly digits: OidDigits;
}

/**
 * A line of packed-refs in a block of them, with the following peeled line. Positions are relative
 * to the block.
 */
export interface PackedRecord {
  readonly start: number;
  readonly nameStart: number;
  readonly nameEnd: number;
  /** Start of the id in the peeled line; 0 if there is none. */
  readonly peeledStart: number;
}

/**
 * Reads the references of a sorted packed-refs file that have a prefix, in the order of names, in
 * batches of one read.
 *
 * @throws {FallBackToGit} at a line that only git can interpret.
 */
export async function* scanPackedRefs(
  file: PackedRefsFile,
  { prefix, digits }: ScanOptions,
): AsyncGenerator<readonly ListedRef[], void> {
  const isPeelKnown = isFullyPeeled(file.source);
  for await (const { block, records } of packedRecords(file, { from: prefix, digits })) {
    const refs = toRefs(block, records, { digits, isPeelKnown });
    const last = refs.at(-1);
    if (last !== undefined && !beginsWith(last.name, prefix)) {
      yield refs.filter(({ name }) => beginsWith(name, prefix));
      return;
    }
    yield refs;
  }
}

/**
 * Reads the records of a sorted packed-refs file, in batches of one read, beginning with the first
 * whose name is not below `from`.
 *
 * @throws {FallBackToGit} at a line that only git can interpret.
 */
export async function* packedRecords(
  file: PackedRefsFile,
  { from, digits }: { readonly from: Buffer; readonly digits: OidDigits },
): AsyncGenerator<{ readonly block: Buffer; readonly records: readonly PackedRecord[] }, void> {
  let at = findPackedPosition(file.source, from);
  let length = FIRST_READ_BYTES;
  while (at < file.source.size) {
    const block = await file.read(at, length);
    if (block.length === 0) throw new FallBackToGit('packed-refs became shorter');
    const isLast = at + block.length >= file.source.size;
    const end = isLast ? block.length : lastRecordStart(block);
    if (end === 0) {
      // Not even one record and the start of the next one: no name is that long.
      if (block.length >= READ_BYTES) throw new FallBackToGit('a line of packed-refs is too long');
      length = READ_BYTES;
      continue;
    }
    const complete = block.subarray(0, end);
    yield { block: complete, records: recordsOf(complete, digits) };
    at += end;
    length = READ_BYTES;
  }
}

/**
 * Returns the start of a block's last record that may continue in the next block: everything before
 * it is complete, including peeled lines.
 */
function lastRecordStart(block: Buffer): number {
  let start = block.lastIndexOf(LF) + 1;
  do start = block.subarray(0, start - 1).lastIndexOf(LF) + 1;
  while (start > 0 && block[start] === PEELED);
  return start;
}

function recordsOf(block: Buffer, digits: OidDigits): PackedRecord[] {
  const records: PackedRecord[] = [];
  for (let start = 0; start < block.length; ) {
    const nameEnd = checkReference(block, start, digits);
    let peeledStart = 0;
    let next = nameEnd + 1;
    if (block[next] === PEELED) {
      peeledStart = next + 1;
      checkId(block, peeledStart, digits);
      next = peeledStart + digits + 1;
      if (block[next - 1] !== LF) throw broken();
    }
    records.push({ start, nameStart: start + digits + 1, nameEnd, peeledStart });
    start = next;
  }
  return records;
}

function toRefs(
  block: Buffer,
  records: readonly PackedRecord[],
  { digits, isPeelKnown }: { digits: OidDigits; isPeelKnown: boolean },
): ListedRef[] {
  const text = block.toString('latin1');
  return records.map(({ start, nameStart, nameEnd, peeledStart }) => ({
    name: block.subarray(nameStart, nameEnd),
    oid: text.slice(start, start + digits),
    peeledOid: peeledStart === 0 ? undefined : text.slice(peeledStart, peeledStart + digits),
    isPeelKnown,
  }));
}

/**
 * Checks a line `<id> <name>` at a position, and returns the position of its end.
 *
 * @throws {FallBackToGit} at what git would not write: names that it refuses, ids of
 *   nothing, broken lines.
 */
function checkReference(block: Buffer, start: number, digits: number): number {
  checkId(block, start, digits);
  const nameStart = start + digits + 1;
  if (block[nameStart - 1] !== SPACE) throw broken();
  const end = block.indexOf(LF, nameStart);
  if (end === -1 || !isStoredName(block, nameStart, end)) throw broken();
  return end;
}

function checkId(block: Buffer, start: number, digits: number): void {
  let odd = 0;
  let bits = 0;
  for (let at = start; at < start + digits; at++) {
    const byte = block[at] ?? 0;
    odd |= NOT_HEX[byte] ?? 1;
    bits |= byte ^ ZERO;
  }
  if (odd !== 0 || bits === 0) throw broken();
}

function broken(): FallBackToGit {
  return new FallBackToGit('packed-refs has a line that git would not write');
}
