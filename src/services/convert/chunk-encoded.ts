/** @see Gitaly: maxMessageSize of its chunker */
const MAX_BYTES = 1 << 20;

/**
 * Collects encoded items into chunks by the rule of {@link chunkBySize}: an item that would make a chunk reach 1 MiB starts the next one. For
 * long lists, whose items come in batches.
 */
export async function* chunkEncoded<T extends { readonly length: number }>(
  batches: AsyncIterable<readonly T[]>,
): AsyncGenerator<T[], void> {
  let chunk: T[] = [];
  let bytes = 0;
  for await (const batch of batches) {
    for (const item of batch) {
      if (bytes + item.length >= MAX_BYTES) {
        yield chunk;
        chunk = [];
        bytes = 0;
      }
      chunk.push(item);
      bytes += item.length;
    }
  }
  if (bytes > 0) yield chunk;
}
