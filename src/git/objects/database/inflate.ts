import { constants, inflateSync } from 'node:zlib';
import { attempt } from '#base/attempt';
import { loadCLibrary } from '#base/c-library';
import { FallBackToGit } from '#git/command/in-process';

/** zlib's smallest piece of output. */
const MIN_CHUNK = 64;

/**
 * zlib's function for a whole piece of data in memory. `targetBytes` is the size of the target, and
 * then that of the data.
 *
 * @see zlib: zlib.h
 */
type Uncompress = (
  target: Buffer,
  targetBytes: BigUint64Array,
  source: Buffer,
  sourceBytes: number,
) => number;

const Z_OK = 0;
/** One is enough, because the function does not wait. */
const targetBytes = new BigUint64Array(1);
let uncompress: Uncompress | 'unknown' | undefined = 'unknown';

/** Bytes of data that was inflated, and of the input that it took. */
export interface Inflated {
  readonly data: Buffer;
  readonly inputBytes: number;
}

/**
 * Inflates data of a known size. Bytes behind its end are ignored.
 *
 * @throws {FallBackToGit} when it has another size, is broken, or ends early.
 */
export function inflateExactly(input: Buffer, size: number): Buffer {
  if (uncompress === 'unknown') uncompress = findUncompress();
  const data = uncompress ? uncompressed(uncompress, input, size) : inflateUpTo(input, size).data;
  if (data?.length !== size)
    throw new FallBackToGit('an object is broken, or has another size than its header');
  return data;
}

/**
 * `inflateSync` makes several objects for each call, which takes longer than to inflate a commit.
 * Without koffi, or with a Node that hides its zlib, there is no other way.
 */
function findUncompress(): Uncompress | undefined {
  const prototype =
    'int uncompress(void *target, void *targetBytes, void *source, unsigned long sourceBytes)';
  return attempt(() => loadCLibrary().find<Uncompress>(prototype));
}

function uncompressed(call: Uncompress, input: Buffer, size: number): Buffer | undefined {
  const target = Buffer.allocUnsafeSlow(size);
  targetBytes[0] = BigInt(size);
  const isWhole = call(target, targetBytes, input, input.length) === Z_OK && Number(targetBytes[0]) === size;
  return isWhole ? target : undefined;
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
