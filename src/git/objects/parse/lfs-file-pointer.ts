import { trimmed } from '#base/trim';
import type { LfsPointer } from './parse-lfs-pointer.ts';

/** Maximum number of bytes of a file that are read for a pointer. @see git-lfs: blobSizeCutoff */
export const MAX_LFS_FILE_POINTER_BYTES = 1024;

const VERSIONS = new Set([
  'http://git-media.io/v/2',
  'https://hawser.github.com/spec/v1',
  'https://git-lfs.github.com/spec/v1',
]);
const KEYS = ['version', 'oid', 'size'];
const EXTENSION = /^ext-\d-\w+/;
const OID = /^sha256:([0-9a-f]{64})$/;
const SIZE = /^\+?\d+$/;
/** git-lfs removes them at both ends. @see Go: unicode.IsSpace */
const SPACE =
  '\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a' +
  '\u2028\u2029\u202f\u205f\u3000';
const MAX_INT64 = 2n ** 63n - 1n;

/**
 * Parses a pointer as git-lfs does when it checks out a file; `undefined` if a file is none. The
 * rule is stricter than the one by which GetLFSPointers finds pointers: version, oid and size in
 * this order, lines of extensions between them, and nothing else but empty lines.
 *
 * @see https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
 */
export function parseLfsFilePointer(file: Buffer): LfsPointer | undefined {
  const values: string[] = [];
  const extensions = new Map<string, string>();
  const text = trimmed(file.toString('utf8', 0, MAX_LFS_FILE_POINTER_BYTES), SPACE);
  for (const line of text.split(/\r?\n/)) {
    if (line === '') continue;
    const space = line.indexOf(' ');
    if (space === -1 || values.length === KEYS.length) return undefined;
    const [key, value] = [line.slice(0, space), line.slice(space + 1)];
    if (key === KEYS[values.length]) values.push(value);
    else if (!isExtension(key, value, extensions)) return undefined;
  }
  const [version = '', oid = '', size = ''] = values;
  if (!VERSIONS.has(version) || !SIZE.test(size) || BigInt(size) > MAX_INT64) return undefined;
  const fileOid = OID.exec(oid)?.[1];
  return fileOid === undefined ? undefined : { fileOid, fileSize: BigInt(size) };
}

/** Checks a line, and adds it to the extensions by priority. Two must not have the same. */
function isExtension(key: string, value: string, extensions: Map<string, string>): boolean {
  const priority = key.slice('ext-'.length, 'ext-0'.length);
  if (!EXTENSION.test(key) || !OID.test(value)) return false;
  if ((extensions.get(priority) ?? key) !== key) return false;
  extensions.set(priority, key);
  return true;
}
