import { WRITE_BUFFER_BYTES } from '../git/write-buffer.ts';

/** Content: text (sent as UTF-8), bytes, or a stream of bytes, such as a Readable. */
export type Content = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/**
 * Splits content into pieces of at most 128 KiB, which are views of it. Empty content gives no
 * piece. One piece of a stream is buffered at a time.
 */
export async function* splitBytes(content: Content): AsyncGenerator<Uint8Array, void, undefined> {
  const chunks =
    typeof content === 'string'
      ? [Buffer.from(content)]
      : content instanceof Uint8Array
        ? [content]
        : content;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.byteLength; at += WRITE_BUFFER_BYTES)
      yield chunk.subarray(at, at + WRITE_BUFFER_BYTES);
  }
}
