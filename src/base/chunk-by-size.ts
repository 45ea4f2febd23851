/** How many bytes items of a chunk have together before the next one goes into another. */
export interface ChunkOptions<T> {
  /** Encoded size of an item in bytes. Only asked when it matters. */
  readonly sizeOf: (item: T) => number;
  /** A cheap number that `sizeOf` never exceeds; without one every item is measured. */
  readonly upperBound?: (item: T) => number;
  /** Default 1 MiB, as Gitaly. */
  readonly maxBytes?: number;
}

const DEFAULT_MAX_BYTES = 1 << 20;

/**
 * Collects items into chunks below `maxBytes`: an item that would make a chunk reach it starts the next one. What is left comes last, unless
 * it has no size at all. An item that is too big alone gets a chunk of its own, and before the very first item an empty chunk comes in that case
 * (clients have seen it so from Gitaly).
 *
 * At most one chunk is held. Items that were collected when the source fails are lost, as with Gitaly.
 */
export async function* chunkBySize<T>(items: Iterable<T> | AsyncIterable<T>, options: ChunkOptions<T>): AsyncGenerator<T[]> {
  const { sizeOf, upperBound = sizeOf, maxBytes = DEFAULT_MAX_BYTES } = options;
  let chunk: T[] = [];
  let boundBytes = 0;
  /** Real size of the first `measured` items. */
  let bytes = 0;
  let measured = 0;
  for await (const item of items) {
    const bound = upperBound(item);
    if (boundBytes + bound >= maxBytes) {
      for (; measured < chunk.length; measured++) bytes += sizeAt(chunk, measured, sizeOf);
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
