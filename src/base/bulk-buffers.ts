import { BufferPool } from './buffer-pool.ts';

/** Bulk data that is read from a pipe or a file at once. */
export const PIECE_BYTES = 256 * 1024;

/** Memory for pieces of bulk data. 8 MiB of it wait for the next ones. */
export const bulkBuffers = new BufferPool({ size: PIECE_BYTES, maxFree: 32 });
