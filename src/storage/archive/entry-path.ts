import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import type { TarEntry } from '#base/tar/read-tar';

/** Longest path of the system. */
const MAX_PATH_BYTES = 4000;

/**
 * Returns the clean relative path of an entry, empty for the top directory.
 *
 * @throws {GitalyError} INVALID_ARGUMENT for a path that leaves the directory or is no text, and
 *   for links and devices.
 */
export function entryPath({ name, type }: TarEntry): string {
  const text = name.toString();
  if (type !== 'file' && type !== 'directory')
    throw new GitalyError('INVALID_ARGUMENT', `invalid type of file in tar: ${quote(name)}`);
  const parts = text.split('/').filter((part) => part !== '' && part !== '.');
  const isClean = !text.startsWith('/') && !parts.includes('..') && !text.includes('\0');
  if (!isClean || name.length > MAX_PATH_BYTES || !Buffer.from(text).equals(name))
    throw new GitalyError('INVALID_ARGUMENT', `invalid file path in tar: ${quote(name)}`);
  return parts.join('/');
}
