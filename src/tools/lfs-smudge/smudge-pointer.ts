/** Maximum number of bytes of a file that are read for a pointer. @see git-lfs: blobSizeCutoff */
export const MAX_POINTER_BYTES = 1024;

const VERSIONS = new Set([
  'http://git-media.io/v/2',
  'https://hawser.github.com/spec/v1',
  'https://git-lfs.github.com/spec/v1',
]);
const KEYS = ['version', 'oid', 'size'];
const EXTENSION = /^ext-\d-\w+/;
const OID = /^sha256:([0-9a-f]{64})$/;
const SIZE = /^\+?\d+$/;
const MAX_INT64 = 2n ** 63n - 1n;

/**
 * Returns the object id of a pointer, 64 hex digits; `undefined` if a file is none. The rule is
 * that of git-lfs, stricter than the one by which GetLFSPointers finds pointers: version, oid and
 * size in this order, lines of extensions between them, and nothing else but empty lines.
 *
 * @see https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
 */
export function smudgePointerOid(file: Buffer): string | undefined {
  const values: string[] = [];
  const priorities = new Set<string>();
  for (const line of file.subarray(0, MAX_POINTER_BYTES).toString('latin1').trim().split(/\r?\n/)) {
    if (line === '') continue;
    const space = line.indexOf(' ');
    if (space === -1 || values.length === KEYS.length) return undefined;
    const [key, value] = [line.slice(0, space), line.slice(space + 1)];
    if (key === KEYS[values.length]) values.push(value);
    else if (!isExtension(key, value, priorities)) return undefined;
  }
  const [version = '', oid = '', size = ''] = values;
  if (!VERSIONS.has(version) || !SIZE.test(size) || BigInt(size) > MAX_INT64) return undefined;
  return OID.exec(oid)?.[1];
}

function isExtension(key: string, value: string, priorities: Set<string>): boolean {
  const priority = key.slice('ext-'.length, 'ext-0'.length);
  if (!EXTENSION.test(key) || !OID.test(value) || priorities.has(priority)) return false;
  priorities.add(priority);
  return true;
}
