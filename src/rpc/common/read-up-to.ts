import type { Readable } from 'node:stream';

export interface ReadUpToOptions {
  signal?: AbortSignal;
  /** Answers `false` to put the bytes back. Asked before the stream can notice that they were its last. */
  isTaken?: (bytes: Buffer) => boolean;
}

/**
 * Takes `count` bytes from a stream that nobody else reads, fewer only when it ends before. The rest stays in the stream, which
 * is as fresh as before: it may be read, piped, or given to `node:http2`.
 *
 * @throws what the stream fails with; the abort reason. The stream is not destroyed by an abort.
 */
export async function readUpTo(stream: Readable, count: number, options: ReadUpToOptions = {}): Promise<Buffer> {
  const { signal, isTaken } = options;
  signal?.throwIfAborted();
  const take = (): Buffer | null => {
    const bytes: Buffer | null = stream.read(count);
    if (bytes !== null && isTaken?.(bytes) === false) stream.unshift(bytes);
    return bytes;
  };
  // What is there already needs no listeners, and to come and to go costs a stream more than to read.
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
