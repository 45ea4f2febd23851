import type { Writable } from 'node:stream';

/** Counts the bytes that are written to a stream from now on; the returned function has the sum. */
export function countWrites(stream: Writable): () => number {
  let bytes = 0;
  const write = stream.write.bind(stream);
  // Own property of this stream. A stream between the writer and it would copy, and hide its state.
  stream.write = ((chunk: Uint8Array, ...rest: []) => {
    bytes += chunk.byteLength;
    return write(chunk, ...rest);
  }) as Writable['write']; // only bytes are written to it
  return () => bytes;
}
