import { MAX_TREE_DEPTH } from '#git/trees/tree-depth';
import { IndexError } from './index-error.ts';

/** Parts of a path as it was sent, including `.` and `..`. */
const MAX_PARTS = 16 * MAX_TREE_DEPTH;
const SLASH = 0x2f;

/** No entry of a tree can be changed at a path. The message is Gitaly's. */
export class TreePathError extends Error {
  override readonly name = 'TreePathError';
}

/**
 * Returns the path of an action as it is used in the tree: `/a/./b/../c/` is `a/c`, the root is
 * `.`. A path of more levels than git can read is invalid.
 *
 * @throws {IndexError}
 */
export function cleanActionPath(path: Buffer): Buffer {
  if (path.length === 0) throw new IndexError('empty path', path);
  if (path.includes('//') || hasMoreSlashes(path, MAX_PARTS)) throw new IndexError('invalid path', path);
  const clean = pathInTree(path);
  if (clean === undefined) throw new IndexError('directory traversal', path);
  if (hasMoreSlashes(clean, MAX_TREE_DEPTH)) throw new IndexError('invalid path', path);
  return clean;
}

function hasMoreSlashes(path: Buffer, limit: number): boolean {
  let count = 0;
  for (let at = path.indexOf(SLASH); at !== -1; at = path.indexOf(SLASH, at + 1))
    if (++count > limit) return true;
  return false;
}

/**
 * Returns a path without empty parts, `.` and `..`; `undefined` when it leads out of the root.
 */
export function pathInTree(path: Buffer): Buffer | undefined {
  const parts: string[] = [];
  // Latin-1: only dots and slashes are compared.
  for (const part of path.toString('latin1').split('/')) {
    if (part === '..') {
      if (parts.pop() === undefined) return undefined;
    } else if (part !== '' && part !== '.') {
      parts.push(part);
    }
  }
  return Buffer.from(parts.join('/') || '.', 'latin1');
}

/**
 * Refuses clean paths at which no entry may be added, changed or removed: the root, `.git`, and as
 * in Gitaly all paths that begin with two dots.
 *
 * @throws {TreePathError}
 */
export function requireTreePath(path: Buffer): void {
  const text = path.toString('latin1');
  if (text.startsWith('..')) throw new TreePathError('path contains traversal');
  if (text === '.') throw new TreePathError('path is empty');
  if (/^\.git(?:\/|$)/.test(text)) throw new TreePathError('disallowed path');
}
