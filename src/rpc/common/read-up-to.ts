import type { Readable } from 'node:stream';

export interface ReadUpToOptions {
  signal?: AbortSignal;
  /**
   * Returns false to put the bytes back. Called before the stream can detect that they were its
   * last.
   */
  isTaken?: (bytes: Buffer) => boolean;
}

/**
 * Reads `count` bytes from a stream without other readers; fewer only if it ends earlier. The rest
 * stays in the stream, which may then be read, piped, or given to `node:http2` like a new one.
 *
 * @throws the error of the stream; the abort reason. An abort does not destroy the stream.
 */
export async function readUpTo(
  stream: Readable,
  count: number,
  options: ReadUpToOptions = {},
): Promise<Buffer> {
  const { signal, isTaken } = options;
  signal?.throwIfAborted();
  const take = (): Buffer | null => {
    const bytes: Buffer | null = stream.read(count);
    if (bytes !== null && isTaken?.(bytes) === false) stream.unshift(bytes);
    return bytes;
  };
  // Data that is already buffered needs no listeners; adding and removing them costs more than
  // reading.
  const present = take();
  if (present !== null) return present;

  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const onReadable = () => {
    const bytes = take();
    if (bytes !== null) {
      stream.off('readable', onReadable);
      resolve(bytes);
    } else if (stream.readableEnded) {
      resolve(Buffer.alloc(0));
    }
  };
  const onEnd = () => resolve(Buffer.alloc(0));
  const onClose = () => reject(stream.errored ?? new Error('stream closed'));
  const onAbort = () => reject(signal?.reason);
  stream.on('readable', onReadable);
  stream.on('end', onEnd);
  stream.on('error', reject);
  stream.on('close', onClose);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    onReadable();
    if (stream.destroyed) onClose();
    return await promise;
  } finally {
    stream.off('readable', onReadable);
    stream.off('end', onEnd);
    stream.off('error', reject);
    stream.off('close', onClose);
    signal?.removeEventListener('abort', onAbort);
  }
}
