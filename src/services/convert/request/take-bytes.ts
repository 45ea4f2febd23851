/** Gitaly cuts byte streams into messages of at most this size; clients only join them. */
const MAX_PIECE_BYTES = 128 * 1024;

/**
 * Yields the first `length` bytes of a source, in pieces that fit a message. Pieces are views of
 * the source's buffers, never empty. The source is closed as soon as enough was read.
 */
export async function* takeBytes(
  source: AsyncIterable<Buffer> | Iterable<Buffer>,
  length: number,
): AsyncGenerator<Buffer> {
  let left = length;
  for await (const chunk of source) {
    const wanted = chunk.subarray(0, left);
    left -= wanted.length;
    for (let at = 0; at < wanted.length; at += MAX_PIECE_BYTES)
      yield wanted.subarray(at, at + MAX_PIECE_BYTES);
    if (left === 0) return;
  }
}
