import { resolvePath } from '#base/normalize-path';

/**
 * Joins a path from a request to a directory, as text only: `.`, `..`, doubled, leading and
 * trailing slashes are removed, so `/x.git`, `./x.git` and `a/..//x.git/` all mean `x.git`.
 * Symbolic links are not checked (see symlink-guard.ts).
 *
 * @returns the absolute path, the directory itself for an empty relative path or `.`; `undefined`
 *   if the path leaves the directory.
 */
export function joinInside(directory: string, relativePath: string): string | undefined {
  const joined = resolvePath(directory, `./${relativePath}`);
  return isInside(directory, joined) ? joined : undefined;
}

/**
 * Reports whether an absolute clean path is the directory (absolute, clean) or lies below it, as
 * text only.
 */
export function isInside(directory: string, absolutePath: string): boolean {
  if (absolutePath === directory) return true;
  return absolutePath.startsWith(directory === '/' ? '/' : `${directory}/`);
}
