import type { Writable } from 'node:stream';
import { noteBulkBytes } from '../memory/bulk-memory.ts';

/**
 * Writes all chunks of `source` to `destination` with back-pressure, uncopied, and leaves
 * `destination` open. On failure it stops `source` (`return()`, which destroys a Readable).
 *
 * @returns the number of bytes written.
 * @throws the error of `source` or `destination`; ERR_STREAM_PREMATURE_CLOSE when `destination` is
 *   closed too early.
 */
export async function copyStream(source: AsyncIterable<Uint8Array>, destination: Writable): Promise<number> {
  let bytes = 0;
  for await (const chunk of source) {
    bytes += chunk.byteLength;
    noteBulkBytes(chunk.byteLength);
    await writeChunk(destination, chunk);
  }
  return bytes;
}

/**
 * Writes one chunk and resolves when the stream accepts more: at once, or after it has drained.
 */
export function writeChunk(destination: Writable, chunk: Uint8Array): Promise<void> | undefined {
  if (destination.destroyed || destination.writableEnded)
    return Promise.reject(destination.errored ?? prematureClose());
  return destination.write(chunk) ? undefined : drained(destination);
}

async function drained(destination: Writable): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onClose = () => reject(destination.errored ?? prematureClose());
  destination.once('drain', resolve).once('error', reject).once('close', onClose);
  if (destination.closed) onClose();
  try {
    await promise;
  } finally {
    destination.off('drain', resolve).off('error', reject).off('close', onClose);
  }
}

/** Returns the error of a stream that closes before its end, as Node makes it. */
export function prematureClose(): Error {
  return Object.assign(new Error('Premature close'), { code: 'ERR_STREAM_PREMATURE_CLOSE' });
}
