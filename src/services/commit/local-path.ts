/**
 * Whether a path of a request stays inside of the repository when `.` and `..` in it are followed. An absolute one does not.
 *
 * @see Go: filepath.IsLocal
 */
export function isLocalPath(path: Uint8Array): boolean {
  if (path.length === 0 || path[0] === 0x2f) return false;
  let depth = 0;
  // One character per byte: only dots and slashes matter.
  for (const name of Buffer.from(path.buffer, path.byteOffset, path.byteLength).toString('latin1').split('/')) {
    if (name === '..') depth--;
    else if (name !== '' && name !== '.') depth++;
    if (depth < 0) return false;
  }
  return true;
}
