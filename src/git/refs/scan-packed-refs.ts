import type { ListedRef } from './listed-ref.ts';
import { OddReferencesError } from './odd-references.ts';
import { findPackedPosition, isFullyPeeled } from './packed-refs.ts';
import type { PackedRefsFile } from './packed-refs-cache.ts';

/** The first read is small, so that the first references come at once; then they are large, as that is fastest. */
const FIRST_READ_BYTES = 16 * 1024;
const READ_BYTES = 256 * 1024;

const LF = 0x0a;
const PEELED = 0x5e;
const SPACE = 0x20;
const SLASH = 0x2f;
const DOT = 0x2e;
const AT = 0x40;
const BRACE = 0x7b;
const ZERO = 0x30;
const LAST_OF_LOCK = 0x6b;
const LOCK = '.lock';
const NAMESPACE = [...Buffer.from('refs/')];
const NOT_HEX = Uint8Array.from({ length: 256 }, (_, byte) => (/[0-9a-f]/.test(String.fromCharCode(byte)) ? 0 : 1));
/** Bytes that no name of a reference has, at any place. */
const NOT_IN_NAMES = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte <= SPACE || byte === 0x7f || ':?*[\\~^'.includes(String.fromCharCode(byte)) ? 1 : 0,
);

export interface ScanOptions {
  /** Only names that begin with it. */
  readonly prefix: Buffer;
  /** Hex digits of an object id. */
  readonly digits: 40 | 64;
}

/**
 * Reads the references of a sorted packed-refs file that begin with a prefix, in the order of names, as many at once as one read gives.
 *
 * @throws {OddReferencesError} at a line that git has to judge.
 */
export async function* scanPackedRefs(
  file: PackedRefsFile,
  { prefix, digits }: ScanOptions,
): AsyncGenerator<readonly ListedRef[], void> {
  const isPeelKnown = isFullyPeeled(file.source);
  let at = findPackedPosition(file.source, prefix);
  let length = FIRST_READ_BYTES;
  while (at < file.source.size) {
    const block = await file.read(at, length);
    if (block.length === 0) throw new OddReferencesError('packed-refs became shorter');
    const isLast = at + block.length >= file.source.size;
    const end = isLast ? block.length : lastRecordStart(block);
    if (end === 0) {
      // Not even one record and the start of the next one: no name is that long.
      if (block.length >= READ_BYTES) throw new OddReferencesError('a line of packed-refs is too long');
      length = READ_BYTES;
      continue;
    }
    const refs = parseBlock(block.subarray(0, end), { digits, isPeelKnown });
    const last = refs.at(-1);
    if (last !== undefined && !beginsWith(last.name, prefix)) {
      yield refs.filter(({ name }) => beginsWith(name, prefix));
      return;
    }
    yield refs;
    at += end;
    length = READ_BYTES;
  }
}

/** Where the last record of a block starts that may go on in the next one: what is before it is complete, peeled lines included. */
function lastRecordStart(block: Buffer): number {
  let end = block.lastIndexOf(LF) + 1;
  while (end > 0) {
    const start = end < 2 ? 0 : block.lastIndexOf(LF, end - 2) + 1;
    if (block[start] !== PEELED) return start;
    end = start;
  }
  return 0;
}

function parseBlock(block: Buffer, { digits, isPeelKnown }: { digits: 40 | 64; isPeelKnown: boolean }): ListedRef[] {
  const text = block.toString('latin1');
  const refs: ListedRef[] = [];
  for (let at = 0; at < block.length; ) {
    const end = checkReference(block, at, digits);
    const name = block.subarray(at + digits + 1, end);
    const oid = text.slice(at, at + digits);
    at = end + 1;
    let peeledOid: string | undefined;
    if (block[at] === PEELED) {
      checkId(block, at + 1, digits);
      if (block[at + 1 + digits] !== LF) throw broken();
      peeledOid = text.slice(at + 1, at + 1 + digits);
      at += digits + 2;
    }
    refs.push({ name, oid, peeledOid, isPeelKnown });
  }
  return refs;
}

/**
 * Checks a line `<id> <name>` that starts at a position, and gives the position of its end. For speed it is one pass over its bytes.
 *
 * @throws {OddReferencesError} at what git would not write: names that it refuses, ids of nothing, broken lines.
 */
function checkReference(block: Buffer, start: number, digits: number): number {
  checkId(block, start, digits);
  if (block[start + digits] !== SPACE) throw broken();
  let at = start + digits + 1;
  for (const byte of NAMESPACE) if (block[at++] !== byte) throw broken();
  let previous = SLASH;
  for (let byte = block[at]; byte !== LF; byte = block[++at]) {
    if (byte === undefined || NOT_IN_NAMES[byte] === 1) throw broken();
    if (byte === SLASH) checkEndOfComponent(block, at, previous);
    else if ((byte === DOT && (previous === DOT || previous === SLASH)) || (byte === BRACE && previous === AT)) throw broken();
    previous = byte;
  }
  checkEndOfComponent(block, at, previous);
  if (previous === DOT) throw broken();
  return at;
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

function checkEndOfComponent(block: Buffer, end: number, last: number): void {
  if (last === SLASH || (last === LAST_OF_LOCK && block.toString('latin1', end - LOCK.length, end) === LOCK)) throw broken();
}

function broken(): OddReferencesError {
  return new OddReferencesError('packed-refs has a line that git would not write');
}

function beginsWith(bytes: Buffer, beginning: Buffer): boolean {
  return bytes.length >= beginning.length && beginning.compare(bytes, 0, beginning.length) === 0;
}
