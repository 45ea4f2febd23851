import { FallBackToGit } from '#git/command/in-process';
import { isOidLength } from '#git/names/object-id';

/** Bytes of a packed-refs file, in memory or on disk. */
export interface PackedRefsSource {
  readonly size: number;
  /** Returns the bytes from `start`, at least `length` of them unless the file ends before. */
  bytes(start: number, length: number): Buffer;
}

/** A line of packed-refs with its start and that of the next one. */
interface Record {
  readonly start: number;
  readonly next: number;
  readonly oid: string;
  readonly name: Buffer;
}

/** First line, as git writes it: peeled values of all tag objects, in the order of names. */
export const PACKED_REFS_HEADER = '# pack-refs with: peeled fully-peeled sorted \n';

/** git refuses a file whose last line is shorter than a target of a tag: `^`, an id and LF. */
const MIN_LAST_LINE_BYTES = 42;
/** Size of the first read of a line; longer lines take a second one. */
const LINE_BYTES = 512;
const LF = 0x0a;
const PEELED = 0x5e;
const NAMESPACE = Buffer.from('refs/');

/**
 * Returns normally when the header states that the file can be searched. An empty one needs no
 * order. @throws {FallBackToGit} when it does not, or the last line is incomplete: git then refuses
 * the file.
 */
export function requireSorted(source: PackedRefsSource): void {
  if (source.size === 0) return;
  if (!hasTrait(source, 'sorted')) throw new FallBackToGit('packed-refs is not sorted');
  const start = Math.max(0, source.size - MIN_LAST_LINE_BYTES);
  const end = source.bytes(start, source.size - start).subarray(0, source.size - start);
  if (end.indexOf(LF) !== end.length - 1) throw new FallBackToGit('packed-refs ends within a line');
}

/**
 * Reports whether the header states that every tag object that git could follow has a peeled line.
 */
export function isFullyPeeled(source: PackedRefsSource): boolean {
  return hasTrait(source, 'fully-peeled');
}

/** Returns normally for a file that {@link isFullyPeeled}. @throws {FallBackToGit} for others. */
export function requireFullyPeeled(source: PackedRefsSource): void {
  if (!isFullyPeeled(source)) throw new FallBackToGit('packed-refs is not peeled');
}

function hasTrait(source: PackedRefsSource, trait: string): boolean {
  const header = source.bytes(0, LINE_BYTES);
  const lf = header.indexOf(LF);
  const line = header.toString('latin1', 0, lf === -1 ? header.length : lf);
  return line.startsWith('# pack-refs with:') && line.split(' ').includes(trait);
}

/**
 * Returns the position of the first record whose name is not below `name`, and so of all names with
 * this prefix; the end if there is none.
 *
 * @throws {FallBackToGit} when the search comes across a line that is no record: it
 *   would lead astray.
 */
export function findPackedPosition(source: PackedRefsSource, name: Buffer): number {
  return lowerBound(source, name, checkRecord)?.start ?? source.size;
}

function checkRecord({ oid, name }: Record): void {
  const isRecord = isOidLength(oid.length) && name.subarray(0, NAMESPACE.length).equals(NAMESPACE);
  if (!isRecord) throw new FallBackToGit('packed-refs has a line that is no reference');
}

/**
 * Returns the object id of a reference in a sorted packed-refs file; `undefined` if it is not
 * there.
 */
export function findPackedRef(source: PackedRefsSource, name: Buffer): string | undefined {
  const record = lowerBound(source, name);
  return record?.name.equals(name) === true ? record.oid : undefined;
}

/** Returns the first reference whose name has a prefix, in the order of names. */
export function firstPackedRef(
  source: PackedRefsSource,
  prefix: Buffer,
): { name: Buffer; oid: string } | undefined {
  const record = lowerBound(source, prefix);
  return record?.name.subarray(0, prefix.length).equals(prefix) === true ? record : undefined;
}

/**
 * Returns the first record whose name is not below `key`, by a binary search over bytes: some 24
 * steps in a file of 200,000 references.
 */
function lowerBound(
  source: PackedRefsSource,
  key: Buffer,
  check?: (record: Record) => void,
): Record | undefined {
  let low = 0;
  let high = source.size;
  let best: Record | undefined;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const record = recordFrom(source, middle, high);
    if (record !== undefined) check?.(record);
    if (record === undefined) high = middle;
    else if (Buffer.compare(record.name, key) < 0) low = record.next;
    else {
      best = record;
      // The first record that starts at or after the middle is not below the key: the remaining
      // ones start before it.
      high = middle;
    }
  }
  return best;
}

/**
 * Returns the first record that starts in `[from, before)`. Header and peeled lines are not
 * records.
 */
function recordFrom(source: PackedRefsSource, from: number, before: number): Record | undefined {
  let start = from === 0 ? 0 : lineEnd(source, from - 1);
  while (start < before) {
    const next = lineEnd(source, start);
    const line = source.bytes(start, next - start).subarray(0, next - start);
    if (line[0] !== PEELED && line[0] !== 0x23) return parseRecord(line, start, next);
    start = next;
  }
  return undefined;
}

/** Returns the position after the first line feed at or after `from`. */
function lineEnd(source: PackedRefsSource, from: number): number {
  for (let at = from; at < source.size; ) {
    const piece = source.bytes(at, LINE_BYTES);
    const lf = piece.indexOf(LF);
    if (lf !== -1) return at + lf + 1;
    at += piece.length;
  }
  return source.size;
}

function parseRecord(line: Buffer, start: number, next: number): Record {
  const space = line.indexOf(0x20);
  const end = line.at(-1) === LF ? line.length - 1 : line.length;
  return {
    start,
    next,
    oid: line.toString('latin1', 0, space),
    name: line.subarray(space + 1, end),
  };
}
