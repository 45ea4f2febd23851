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
