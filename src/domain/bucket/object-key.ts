import path from 'node:path';
import { GitalyError } from '#base/gitaly-error';
import { trimmed } from '#base/trim';

/**
 * Joins parts to a key as Go's `path.Join` does: `.`, `..` and doubled slashes are removed, so that
 * a client's `..` leads out of a folder, but not out of the bucket.
 *
 * @throws {GitalyError} INVALID_ARGUMENT for a key outside the bucket, and for control characters.
 */
export function objectKey(...parts: readonly string[]): string {
  const key = trimmed(path.posix.join(...parts), '/');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (key === '.' || key === '' || /^\.\.(\/|$)|[\0-\x1f]/.test(key))
    throw new GitalyError('INVALID_ARGUMENT', 'the name leads out of the bucket');
  return key;
}
