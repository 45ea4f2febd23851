import { BufferPool } from './buffer-pool.ts';

/** Amount of bulk data that is read from a pipe or a file at once. */
export const PIECE_BYTES = 256 * 1024;

/** Memory for pieces of bulk data. 8 MiB of it wait for the next ones. */
export const bulkBuffers = new BufferPool({ size: PIECE_BYTES, maxFree: 32 });

/** Smaller bytes would waste the rest of their piece. */
const SMALL_BYTES = PIECE_BYTES / 4;

/** Returns the bytes that were read into a piece, as a copy if they are few: then the piece is given back. */
export function withoutWaste(bytes: Buffer): Buffer {
  if (bytes.length >= SMALL_BYTES) return bytes;
  const copy = Buffer.from(bytes);
  bulkBuffers.give(bytes);
  return copy;
}
