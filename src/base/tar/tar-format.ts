/** Size of the blocks of a tar archive: headers, and the unit to which contents are padded. */
export const BLOCK_BYTES = 512;

/** An archive ends with two blocks of zeros. */
export const END_OF_ARCHIVE = Buffer.alloc(2 * BLOCK_BYTES);

/** Kinds of entries; `other` are devices, pipes and extensions that are not known here. */
export type TarEntryType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'other';

/** Bytes of zeros after content of a size. */
export function paddingOf(size: number): number {
  return (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES;
}

/** Returns the sum of the bytes of a header, its own field counted as spaces. */
export function checksumOf(header: Buffer): number {
  let sum = 0;
  for (const [index, byte] of header.entries()) sum += index >= 148 && index < 156 ? 0x20 : byte;
  return sum;
}
