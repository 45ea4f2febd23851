import { unquotePath } from '../names/unquote-path.ts';

/** Joins paths as in `GIT_ALTERNATE_OBJECT_DIRECTORIES`. */
export function joinObjectDirectories(paths: readonly string[]): string {
  return paths.map(quotePath).join(':');
}

/** Splits `GIT_ALTERNATE_OBJECT_DIRECTORIES` into paths. */
export function splitObjectDirectories(list: string): string[] {
  const paths = list.match(/"(?:[^"\\]|\\.)*"|[^:]+/g) ?? [];
  return paths.map((path) => (path.startsWith('"') ? unquotePath(Buffer.from(path)).toString() : path));
}

/** Quotes a path. git splits the list at colons, but reads a path in double quotes as a C string. */
function quotePath(path: string): string {
  return path.includes(':') || path.startsWith('"') ? `"${path.replace(/["\\]/g, '\\$&')}"` : path;
}
