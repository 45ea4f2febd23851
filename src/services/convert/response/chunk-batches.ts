/** @see Gitaly: maxMessageSize of its chunker */
const MAX_BYTES = 1 << 20;

/**
 * Collects items into chunks by the rule of {@link chunkBySize}: an item that would make a chunk
 * reach 1 MiB starts the next one. For long lists, whose items come in batches.
 *
 * @param sizeOf encoded size of an item in bytes.
 */
export async function* chunkBatches<T>(
  batches: AsyncIterable<readonly T[]>,
  sizeOf: (item: T) => number,
): AsyncGenerator<T[], void> {
  let chunk: T[] = [];
  let bytes = 0;
  for await (const batch of batches) {
    for (const item of batch) {
      const size = sizeOf(item);
      if (bytes + size >= MAX_BYTES) {
        yield chunk;
        chunk = [];
        bytes = 0;
      }
      chunk.push(item);
      bytes += size;
    }
  }
  if (bytes > 0) yield chunk;
}

/** As {@link chunkBatches}, for encoded items. */
export function chunkEncoded<T extends { readonly length: number }>(
  batches: AsyncIterable<readonly T[]>,
): AsyncGenerator<T[], void> {
  return chunkBatches(batches, ({ length }) => length);
}
