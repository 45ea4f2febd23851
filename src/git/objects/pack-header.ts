/** Signature, version, and number of objects. */
export const PACK_HEADER_BYTES = 12;
const VERSION_2 = Buffer.from('PACK\0\0\0\x02', 'latin1');

/** Returns the header of a pack of version 2. */
export function packHeader(objects: number): Buffer {
  const header = Buffer.alloc(PACK_HEADER_BYTES);
  VERSION_2.copy(header);
  header.writeUInt32BE(objects, VERSION_2.length);
  return header;
}

/** Returns the number of objects in a pack by its first bytes; `undefined` if it is not of version 2. */
export function objectsInPack(start: Buffer): number | undefined {
  if (start.length < PACK_HEADER_BYTES || !start.subarray(0, VERSION_2.length).equals(VERSION_2))
    return undefined;
  return start.readUInt32BE(VERSION_2.length);
}

/** gitformat-pack(5) */
const CODES = { commit: 1, tree: 2, blob: 3, tag: 4, 'offset-delta': 6, 'name-delta': 7 } as const;

/**
 * Returns the header of an entry: 4 bits of the size in the first byte, 7 in each further one, the
 * lowest first.
 *
 * @param size Of the object, or of the delta. The base of a delta follows the header.
 */
export function entryHeader(kind: keyof typeof CODES, size: number): Buffer {
  const bytes: number[] = [(CODES[kind] << 4) | (size % 16)];
  for (let rest = Math.floor(size / 16); rest > 0; rest = Math.floor(rest / 128)) {
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) | 0x80;
    bytes.push(rest % 128);
  }
  return Buffer.from(bytes);
}

/** Returns a distance in a pack from a delta to its base, as git encodes it. */
export function encodedDistance(distance: number): Buffer {
  let length = 1;
  for (let rest = nextDigits(distance); rest >= 0; rest = nextDigits(rest)) length++;
  const bytes = Buffer.allocUnsafe(length);
  bytes[--length] = distance % 128;
  for (let rest = nextDigits(distance); rest >= 0; rest = nextDigits(rest))
    bytes[--length] = 0x80 | (rest % 128);
  return bytes;
}

/** Returns the digits before the last one of 7 bits, each less one; -1 if there are none. */
function nextDigits(digits: number): number {
  return Math.floor(digits / 128) - 1;
}
