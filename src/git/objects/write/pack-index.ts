import { createHash } from 'node:crypto';
import type { ObjectFormatName } from '#git/repository-files/repository-format';

export interface PackedEntry {
  readonly oid: string;
  /** Position of its beginning in the pack. */
  readonly offset: number;
  readonly crc32: number;
}

/** Offsets from this value on are stored in a separate table. */
const LARGE_OFFSET = 0x80000000;

/** Returns the contents of a pack's index, version 2. @see gitformat-pack(5) */
export function packIndex(
  entries: readonly PackedEntry[],
  packChecksum: Buffer,
  objectFormat: ObjectFormatName,
): Buffer {
  const sorted = entries.toSorted((a, b) => (a.oid < b.oid ? -1 : 1));
  const fanOut = Buffer.alloc(256 * 4);
  const checksums = Buffer.alloc(sorted.length * 4);
  const offsets = Buffer.alloc(sorted.length * 4);
  const largeOffsets: Buffer[] = [];
  const counts = new Array<number>(256).fill(0);
  for (const [at, { oid, offset, crc32 }] of sorted.entries()) {
    const first = Number.parseInt(oid.slice(0, 2), 16);
    counts[first] = (counts[first] ?? 0) + 1;
    checksums.writeUInt32BE(crc32, at * 4);
    if (offset < LARGE_OFFSET) offsets.writeUInt32BE(offset, at * 4);
    else {
      offsets.writeUInt32BE(LARGE_OFFSET + largeOffsets.length, at * 4);
      const large = Buffer.alloc(8);
      large.writeBigUInt64BE(BigInt(offset));
      largeOffsets.push(large);
    }
  }
  let total = 0;
  for (const [at, count] of counts.entries()) {
    total += count;
    fanOut.writeUInt32BE(total, at * 4);
  }
  const names = Buffer.from(sorted.map(({ oid }) => oid).join(''), 'hex');
  const body = [
    Buffer.from('\xfftOc\0\0\0\u0002', 'latin1'),
    fanOut,
    names,
    checksums,
    offsets,
    ...largeOffsets,
    packChecksum,
  ];
  const hash = createHash(objectFormat);
  for (const part of body) hash.update(part);
  return Buffer.concat([...body, hash.digest()]);
}
