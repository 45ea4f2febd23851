import { LoopSlice } from '../async/loop-turns.ts';

/** Limits of the total size of a chunk's items in bytes. */
export interface ChunkOptions<T> {
  /** Encoded size of an item in bytes. Called only when needed. */
  readonly sizeOf: (item: T) => number;
  /** Cheap upper bound of `sizeOf`. Without it, every item is measured. */
  readonly upperBound?: (item: T) => number;
  /** Default 1 MiB, as in Gitaly. */
  readonly maxBytes?: number;
}

const DEFAULT_MAX_BYTES = 1 << 20;

/**
 * Collects items into chunks below `maxBytes`: an item with which a chunk would reach that size
 * starts the next chunk. The remaining items form the last chunk, unless their size is 0. An item
 * that is too large by itself gets its own chunk; if it is the very first item, an empty chunk
 * precedes it (clients have received it so from Gitaly).
 *
 * Holds at most one chunk, and measures it in slices of the event loop. If the source fails,
 * collected items are lost, as in Gitaly.
 */
export async function* chunkBySize<T>(
  items: Iterable<T> | AsyncIterable<T>,
  options: ChunkOptions<T>,
): AsyncGenerator<T[]> {
  const { sizeOf, upperBound = sizeOf, maxBytes = DEFAULT_MAX_BYTES } = options;
  let chunk: T[] = [];
  let boundBytes = 0;
  /** Real size of the first `measured` items. */
  let bytes = 0;
  let measured = 0;
  const slice = new LoopSlice();
  for await (const item of items) {
    const bound = upperBound(item);
    if (boundBytes + bound >= maxBytes) {
      for (; measured < chunk.length; measured++) {
        bytes += sizeAt(chunk, measured, sizeOf);
        if (slice.isOverAfterItem()) await slice.pause();
      }
      const size = sizeOf(item);
      if (bytes + size >= maxBytes) {
        yield chunk;
        chunk = [];
        bytes = 0;
        measured = 0;
      }
      boundBytes = bytes + size;
      bytes += size;
      measured++;
    } else {
      boundBytes += bound;
    }
    chunk.push(item);
  }
  if (chunk.length === 0) return;
  for (; bytes === 0 && measured < chunk.length; measured++) bytes += sizeAt(chunk, measured, sizeOf);
  if (bytes > 0) yield chunk;
}

function sizeAt<T>(chunk: readonly T[], index: number, sizeOf: (item: T) => number): number {
  const item = chunk[index];
  return item === undefined ? 0 : sizeOf(item);
}
