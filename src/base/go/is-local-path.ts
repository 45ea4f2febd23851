/**
 * Reports whether a path stays inside of the directory that it starts from, as `filepath.IsLocal`
 * does: absolute paths and the empty one do not.
 */
export function isLocalPath(path: Uint8Array): boolean {
  if (path.length === 0 || path[0] === 0x2f) return false;
  let depth = 0;
  // One character per byte: only dots and slashes matter.
  for (const name of Buffer.from(path.buffer, path.byteOffset, path.byteLength)
    .toString('latin1')
    .split('/')) {
    if (name === '..') depth--;
    else if (name !== '' && name !== '.') depth++;
    if (depth < 0) return false;
  }
  return true;
}
