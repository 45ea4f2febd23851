import type { ListedRef } from './listed-ref.ts';
import { OddReferencesError } from './odd-references.ts';
import { findPackedPosition, isFullyPeeled } from './packed-refs.ts';
import type { PackedRefsFile } from './packed-refs-cache.ts';

/** The first read is small, so that the first references come at once; then they are large, as that is fastest. */
const FIRST_READ_BYTES = 16 * 1024;
const READ_BYTES = 256 * 1024;

const LF = 0x0a;
const PEELED = 0x5e;

/** What no line of a packed-refs file that git wrote has: names that git refuses, ids of nothing, broken lines. */
const ODD = {
  40: oddLines(40),
  64: oddLines(64),
} as const;

function oddLines(digits: number): RegExp {
  const odd = [
    `^(?=[^])(?![0-9a-f]{${digits}} refs/[^/\\n]|\\^[0-9a-f]{${digits}}$)`,
    `^0{${digits}} `,
    ' [^ \\n]* ',
    '[^\\n]\\^',
    '[\\x00-\\x09\\x0b-\\x1f\\x7f:?*[\\\\~]',
    '\\.\\.|@\\{|/[/.\\n]|\\.\\n|\\.lock[/\\n]',
  ];
  return new RegExp(odd.join('|'), 'm');
}

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
    const outside = refs.findIndex(({ name }) => !beginsWith(name, prefix));
    yield outside === -1 ? refs : refs.slice(0, outside);
    if (outside !== -1) return;
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
  if (block.at(-1) !== LF || ODD[digits].test(text)) {
    throw new OddReferencesError('packed-refs has a line that git would not write');
  }
  const refs: ListedRef[] = [];
  let next: number;
  for (let at = 0; at < text.length; at = next) {
    const lf = text.indexOf('\n', at);
    next = lf + 1;
    let peeledOid: string | undefined;
    if (block[next] === PEELED) {
      peeledOid = text.slice(next + 1, next + 1 + digits);
      next += digits + 2;
    }
    refs.push({ name: block.subarray(at + digits + 1, lf), oid: text.slice(at, at + digits), peeledOid, isPeelKnown });
  }
  return refs;
}

function beginsWith(bytes: Buffer, beginning: Buffer): boolean {
  return bytes.length >= beginning.length && beginning.compare(bytes, 0, beginning.length) === 0;
}
