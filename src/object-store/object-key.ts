import { invalidArgument } from '#base/gitaly-error';
import { normalizePath } from '#base/normalize-path';
import { trimmed } from '#base/trim';

/** Limit of S3 and Google Cloud Storage. */
const MAX_KEY_BYTES = 1024;
/** Services do not keep them, or not in lists. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL_CHARACTER = /[\0-\x1f]/;
/** Prefix of files that are not objects: incomplete ones and locks. */
export const TEMPORARY_PREFIX = '.fileblob-';

/**
 * Joins parts to a key as Go's `path.Join` does: `.`, `..` and doubled slashes are removed, so that
 * a client's `..` can escape a folder, but not the bucket.
 *
 * @throws {GitalyError} INVALID_ARGUMENT for a key outside the bucket, and for control characters.
 */
export function objectKey(...parts: readonly string[]): string {
  const key = trimmed(normalizePath(parts.filter(Boolean).join('/')), '/');
  if (key === '.' || key === '' || /^\.\.(\/|$)/.test(key))
    throw invalidArgument('the key escapes the bucket');
  if (CONTROL_CHARACTER.test(key))
    throw invalidArgument('names of objects cannot contain line feeds and other control characters');
  return key;
}

/**
 * Checks a key that is passed to a store: {@link objectKey} does not change it, it is not too long
 * and not reserved.
 *
 * @throws {GitalyError} INVALID_ARGUMENT
 */
export function requireKey(key: string): void {
  if (objectKey(key) !== key) throw invalidArgument('the key escapes the bucket');
  if (Buffer.byteLength(key) > MAX_KEY_BYTES)
    throw invalidArgument(`the name of the object has more than ${MAX_KEY_BYTES} bytes`);
  if (key.startsWith(TEMPORARY_PREFIX) || key.includes(`/${TEMPORARY_PREFIX}`))
    throw invalidArgument(`${TEMPORARY_PREFIX} is reserved in names of objects`);
}

/**
 * Reports whether a file or an object of other programs has a name that {@link requireKey} accepts.
 */
export function isObjectKey(key: string): boolean {
  try {
    requireKey(key);
    return true;
  } catch {
    return false; // no call can name it
  }
}

/** Returns the objects with names that {@link requireKey} accepts, and reports the others. */
export function usableObjects<T extends { readonly key: string }>(
  objects: readonly T[],
  onUnusable: ((name: string) => void) | undefined,
): T[] {
  return objects.filter(({ key }) => {
    const isUsable = isObjectKey(key);
    if (!isUsable) onUnusable?.(key);
    return isUsable;
  });
}

/** Returns the folders, which end with a slash, that {@link requirePrefix} accepts. */
export function usableFolders(folders: readonly string[]): string[] {
  return folders.filter((folder) => isObjectKey(folder.slice(0, -1)));
}

/**
 * Checks the prefix of a list, which may be empty or end with a slash. @throws as {@link
 * requireKey}.
 */
export function requirePrefix(prefix: string): void {
  const key = prefix.endsWith('/') ? prefix.slice(0, -1) : prefix;
  if (prefix !== '') requireKey(key);
}
