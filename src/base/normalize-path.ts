/**
 * Removes empty parts, `.` and `..` from a path, as `posix.normalize` of node:path does. That one
 * takes quadratic time: half a mebibyte of `../` blocks the event loop for more than ten seconds.
 */
export function normalizePath(path: string): string {
  const isAbsolute = path.startsWith('/');
  const clean = cleanParts(path, isAbsolute).join('/');
  if (isAbsolute) return clean === '' || !path.endsWith('/') ? `/${clean}` : `/${clean}/`;
  return `${clean || '.'}${path.endsWith('/') ? '/' : ''}`;
}

/** Joins a path to an absolute directory, as `posix.resolve` of node:path does. */
export function resolvePath(directory: string, path: string): string {
  return `/${cleanParts(path.startsWith('/') ? path : `${directory}/${path}`, true).join('/')}`;
}

/** @param isAbsolute `..` at the beginning is dropped. */
function cleanParts(path: string, isAbsolute: boolean): string[] {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.length > 0 && parts.at(-1) !== '..') parts.pop();
    else if (!isAbsolute) parts.push(part);
  }
  return parts;
}
