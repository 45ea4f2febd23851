import { constants, inflateSync } from 'node:zlib';
import { FallBackToGit } from '#git/command/in-process';

/** zlib's smallest piece of output. */
const MIN_CHUNK = 64;

/** Bytes of data that was inflated, and of the input that it took. */
export interface Inflated {
  readonly data: Buffer;
  readonly inputBytes: number;
}

/**
 * Inflates data of a known size.
 *
 * @throws {FallBackToGit} when it has another size, is broken, or ends early.
 */
export function inflateExactly(input: Buffer, size: number): Buffer {
  const { data } = inflateUpTo(input, size);
  if (data.length !== size) throw new FallBackToGit('an object has another size than its header');
  return data;
}

/**
 * Inflates data of at most some size. Bytes behind its end are ignored.
 *
 * @param chunkBytes Expected size of the result; by default the most that is possible.
 * @throws {FallBackToGit} when there is more, or the data is broken or ends early.
 */
export function inflateUpTo(input: Buffer, maxBytes: number, chunkBytes = maxBytes): Inflated {
  try {
    const { buffer, engine } = inflateSync(input, {
      info: true,
      // If the result fits exactly, zlib allocates a second chunk to see whether more follows.
      chunkSize: chunkBytes + MIN_CHUNK,
      maxOutputLength: Math.max(maxBytes, 1),
    }) as unknown as { buffer: Buffer; engine: { bytesWritten: number } }; // the type lacks `info`
    return { data: buffer, inputBytes: engine.bytesWritten };
  } catch (error) {
    throw asFallBack(error);
  }
}

/**
 * Inflates the beginning of data: as much as the input gives, which is at most a thousand times its
 * length.
 *
 * @param chunkBytes Expected size of the result.
 * @throws {FallBackToGit} when the data is broken.
 */
export function inflateHead(input: Buffer, chunkBytes: number): Buffer {
  try {
    return inflateSync(input, { finishFlush: constants.Z_SYNC_FLUSH, chunkSize: chunkBytes });
  } catch (error) {
    throw asFallBack(error);
  }
}

function asFallBack(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return code.startsWith('Z_') || code === 'ERR_BUFFER_TOO_LARGE'
    ? new FallBackToGit('compressed data is broken', { cause: error })
    : error;
}
