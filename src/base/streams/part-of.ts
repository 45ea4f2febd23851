import type { ByteRange } from '../network/byte-range.ts';

/** Yields the bytes of a range of a content, and stops reading at its end. */
export async function* partOf(
  content: AsyncIterable<Uint8Array>,
  { length, start }: ByteRange,
): AsyncGenerator<Uint8Array> {
  let at = 0;
  const end = start + length;
  for await (const chunk of content) {
    const part = chunk.subarray(Math.max(0, start - at), Math.max(0, end - at));
    if (part.length > 0) yield part;
    at += chunk.length;
    if (at >= end) return;
  }
}
