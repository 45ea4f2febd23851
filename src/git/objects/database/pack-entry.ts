import { FallBackToGit } from '#git/command/in-process';
import type { ObjectType } from '#git/names/object-info';

/** The header at a position of a pack, before the compressed bytes. */
export type PackEntry = {
  /** Size of the object, or of the delta. */
  readonly size: number;
  readonly headerBytes: number;
} & (
  | { readonly kind: 'object'; readonly type: ObjectType }
  /** A delta to the object that begins this number of bytes earlier. */
  | { readonly kind: 'offset-delta'; readonly distance: number }
  /** A delta to the object with this binary id. */
  | { readonly kind: 'name-delta'; readonly base: Buffer }
);

/** Bytes of the longest size that git reads, even when the first digits are zeros. */
const MAX_SIZE_BYTES = 9;
/** Bytes of the longest header of an entry: a size and an id, or a size and a distance. */
export const MAX_ENTRY_HEADER_BYTES = MAX_SIZE_BYTES + 32;

const TYPES: Readonly<Record<number, ObjectType>> = { 1: 'commit', 2: 'tree', 3: 'blob', 4: 'tag' };
const OFFSET_DELTA = 6;
const NAME_DELTA = 7;

/**
 * Parses the header of an entry.
 *
 * @param bytes Nothing of them is kept.
 * @param start Position of the entry in them.
 * @throws {FallBackToGit} for anything that is no entry.
 */
export function parsePackEntry(bytes: Buffer, oidBytes: number, start = 0): PackEntry {
  const first = byteAt(bytes, start);
  const code = (first >>> 4) & 7;
  let size = first & 0x0f;
  let at = start + 1;
  for (let factor = 0x10, last = first; last >= 0x80; factor *= 0x80) {
    if (at - start === MAX_SIZE_BYTES) throw broken();
    last = byteAt(bytes, at++);
    size += (last & 0x7f) * factor;
  }
  if (!Number.isSafeInteger(size)) throw broken();
  const type = TYPES[code];
  if (type !== undefined) return { kind: 'object', type, size, headerBytes: at - start };
  if (code === NAME_DELTA) {
    const base = Buffer.from(bytes.subarray(at, at + oidBytes));
    if (base.length < oidBytes) throw broken();
    return { kind: 'name-delta', base, size, headerBytes: at - start + oidBytes };
  }
  if (code !== OFFSET_DELTA) throw broken();
  let last = byteAt(bytes, at++);
  let distance = last & 0x7f;
  while (last >= 0x80) {
    last = byteAt(bytes, at++);
    distance = (distance + 1) * 0x80 + (last & 0x7f);
    if (!Number.isSafeInteger(distance)) throw broken();
  }
  if (distance === 0) throw broken();
  return { kind: 'offset-delta', distance, size, headerBytes: at - start };
}

function byteAt(bytes: Buffer, at: number): number {
  const byte = bytes[at];
  if (byte === undefined) throw broken();
  return byte;
}

function broken(): FallBackToGit {
  return new FallBackToGit('a pack entry is broken');
}
