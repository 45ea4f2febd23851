import { noteBulkBytes } from './bulk-memory.ts';

/** Amount of bulk data that is read from a pipe or a file at once. */
export const PIECE_BYTES = 256 * 1024;

/** Smaller bytes would waste the rest of their piece. */
const SMALL_BYTES = PIECE_BYTES / 4;

/** Lends buffers of one size, and keeps some of the returned ones. */
export class BufferPool {
  readonly #size: number;
  readonly #maxFree: number;
  readonly #free: ArrayBuffer[] = [];

  /** @param maxFree number of buffers that are kept while they are unused. */
  constructor({ size, maxFree }: { readonly size: number; readonly maxFree: number }) {
    this.#size = size;
    this.#maxFree = maxFree;
  }

  /** Returns a buffer with any content. */
  readonly take = (): Buffer => {
    const free = this.#free.pop();
    if (free !== undefined) return Buffer.from(free);
    noteBulkBytes(this.#size);
    return Buffer.allocUnsafeSlow(this.#size);
  };

  /** Takes a buffer back, or a part of it. It must not be used any more. */
  readonly give = ({ buffer }: Buffer): void => {
    if (
      this.#free.length < this.#maxFree &&
      buffer.byteLength === this.#size &&
      buffer instanceof ArrayBuffer
    )
      this.#free.push(buffer);
  };
}

/** Memory for pieces of bulk data. 8 MiB of it wait for the next ones. */
export const bulkBuffers = new BufferPool({ size: PIECE_BYTES, maxFree: 32 });

/** Returns the bytes that were read into a piece, as a copy if they are few: then the piece is given back. */
export function withoutWaste(bytes: Buffer): Buffer {
  if (bytes.length >= SMALL_BYTES) return bytes;
  const copy = Buffer.from(bytes);
  bulkBuffers.give(bytes);
  return copy;
}
