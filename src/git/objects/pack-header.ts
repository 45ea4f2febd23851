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

/** Bytes of a number of 53 bits. */
const MAX_NUMBER_BYTES = 9;
/** gitformat-pack(5) */
const CODES = { commit: 1, tree: 2, blob: 3, tag: 4, 'offset-delta': 6, 'name-delta': 7 } as const;

/**
 * Returns the header of an entry: 4 bits of the size in the first byte, 7 in each further one, the
 * lowest first.
 *
 * @param size Of the object, or of the delta. The base of a delta follows the header.
 */
export function entryHeader(kind: keyof typeof CODES, size: number): Buffer {
  const bytes = Buffer.allocUnsafe(MAX_NUMBER_BYTES);
  return bytes.subarray(0, writeEntryHeader(bytes, kind, size));
}

/** Writes what {@link entryHeader} returns to the beginning of `bytes`. @returns the position behind it. */
export function writeEntryHeader(bytes: Buffer, kind: keyof typeof CODES, size: number): number {
  let end = 1;
  let last = (CODES[kind] << 4) | (size % 16);
  for (let rest = Math.floor(size / 16); rest > 0; rest = Math.floor(rest / 128)) {
    bytes[end - 1] = last | 0x80;
    last = rest % 128;
    end++;
  }
  bytes[end - 1] = last;
  return end;
}

/** Returns a distance in a pack from a delta to its base, as git encodes it. */
export function encodedDistance(distance: number): Buffer {
  const bytes = Buffer.allocUnsafe(MAX_NUMBER_BYTES);
  return bytes.subarray(0, writeDistance(bytes, 0, distance));
}

/** Writes what {@link encodedDistance} returns. @returns the position behind it. */
export function writeDistance(bytes: Buffer, start: number, distance: number): number {
  let end = start + 1;
  for (let rest = nextDigits(distance); rest >= 0; rest = nextDigits(rest)) end++;
  let at = end - 1;
  bytes[at] = distance % 128;
  for (let rest = nextDigits(distance); rest >= 0; rest = nextDigits(rest)) bytes[--at] = 0x80 | (rest % 128);
  return end;
}

/** Returns the digits before the last one of 7 bits, each less one; -1 if there are none. */
function nextDigits(digits: number): number {
  return Math.floor(digits / 128) - 1;
}
