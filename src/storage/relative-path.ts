import path from 'node:path';

/**
 * Joins a path from a request to a directory, by text alone: `.`, `..`, doubled, leading and trailing slashes are cleaned
 * away, so `/x.git`, `./x.git` and `a/..//x.git/` all mean `x.git`. Symbolic links are not looked at (see symlink-guard.ts).
 *
 * @returns the absolute path, the directory itself for an empty relative path or `.`; `undefined` when the path leaves the directory.
 */
export function joinInside(directory: string, relativePath: string): string | undefined {
  const joined = path.posix.resolve(directory, `./${relativePath}`);
  return isInside(directory, joined) ? joined : undefined;
}

/** Whether an absolute clean path is the directory (absolute, clean) or lies below it. By text alone. */
export function isInside(directory: string, absolutePath: string): boolean {
  if (absolutePath === directory) return true;
  return absolutePath.startsWith(directory === '/' ? '/' : `${directory}/`);
}
