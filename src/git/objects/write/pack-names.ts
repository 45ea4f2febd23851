import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { systemErrorCode } from '#base/go/system-error';

const HEADER_BYTES = 8;
const FAN_OUT_BYTES = 256 * 4;
/** Number of names that are read at once at the end of a search. */
const BLOCK = 256;
const VERSION_2 = Buffer.from('\xfftOc\0\0\0\u0002', 'latin1');

/** The index of a pack: its objects, by the first byte of their ids. */
interface PackNames {
  readonly indexPath: string;
  /** Number of objects with an id whose first byte is this one or less, 32 bits each. */
  readonly fanOut: Buffer;
}

/**
 * Returns the packs of an object directory that protect objects from pruning. Cruft packs do not;
 * indexes of version 1, which git has not written since 2008, are ignored.
 */
export function openPackNames(objectDirectory: string): PackNames[] {
  const names = listDirectory(`${objectDirectory}/pack`);
  const cruft = new Set(names.filter((name) => name.endsWith('.mtimes')).map(stem));
  const indexes = names.filter((name) => name.endsWith('.idx') && !cruft.has(stem(name)));
  return indexes.flatMap((name) => readFanOut(`${objectDirectory}/pack/${name}`) ?? []);
}

/** Reports whether an object is in a pack. The id is in binary. */
export function isInPack({ indexPath, fanOut }: PackNames, oid: Buffer): boolean {
  const first = oid[0] ?? 0;
  let low = first === 0 ? 0 : fanOut.readUInt32BE((first - 1) * 4);
  let high = fanOut.readUInt32BE(first * 4);
  if (low >= high) return false;
  return withFile(indexPath, (file) => {
    const nameAt = (position: number) => HEADER_BYTES + FAN_OUT_BYTES + position * oid.length;
    const name = Buffer.alloc(oid.length);
    while (high - low > BLOCK) {
      const middle = (low + high) >>> 1;
      if (readSync(file, name, { position: nameAt(middle) }) < name.length) return false;
      const order = Buffer.compare(oid, name);
      if (order === 0) return true;
      if (order < 0) high = middle;
      else low = middle + 1;
    }
    const block = Buffer.alloc((high - low) * oid.length);
    const read = readSync(file, block, { position: nameAt(low) });
    for (let at = 0; at + oid.length <= read; at += oid.length) {
      if (block.compare(oid, 0, oid.length, at, at + oid.length) === 0) return true;
    }
    return false;
  });
}

function readFanOut(indexPath: string): PackNames | undefined {
  const bytes = Buffer.alloc(HEADER_BYTES + FAN_OUT_BYTES);
  const isRead = withFile(indexPath, (file) => readSync(file, bytes, { position: 0 }) === bytes.length);
  if (!isRead || !bytes.subarray(0, HEADER_BYTES).equals(VERSION_2)) return undefined;
  return { indexPath, fanOut: bytes.subarray(HEADER_BYTES) };
}

/**
 * Runs a function with an open file; `false` for a file that cannot be opened: a repack may have
 * removed it.
 */
function withFile(path: string, use: (file: number) => boolean): boolean {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    return false;
  }
  try {
    return use(file);
  } finally {
    closeSync(file);
  }
}

function listDirectory(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    return [];
  }
}

function stem(name: string): string {
  return name.slice(0, name.lastIndexOf('.'));
}
