import { realpathSync } from 'node:fs';
import path from 'node:path';
import { systemErrorCode } from '#base/system-error';
import { isGitDirectory } from './git-directory.ts';
import { isInside } from './relative-path.ts';

/**
 * Whether symbolic links lead a clean path below a storage out of it. Two kinds of link have to be told apart:
 *
 * - An operator puts one repository on another disk: the last component of its path is a link. Gitaly follows it (recorded),
 *   and so do we.
 * - A link that came with a client's content (custom hooks, an unpacked archive) lies *inside* a repository. Followed, it would
 *   hand out every repository of the machine. It is refused, and so is every link among the parent directories, which no
 *   known installation has.
 *
 * A path that does not exist yet is judged by its nearest existing ancestor.
 */
export function leavesByLink(storagePath: string, repositoryPath: string): boolean {
  if (repositoryPath === storagePath || repositoryPath.includes('\0')) return false; // the kernel refuses a NUL by itself
  const root = realPath(storagePath);
  if (root === undefined) return false;
  const real = realPath(repositoryPath);
  if (real !== undefined && isInside(root, real)) return false;

  const parent = nearestRealPath(path.posix.dirname(repositoryPath));
  if (!isInside(root, parent)) return true;
  return real !== undefined && liesInRepository(root, parent);
}

/** The path without symbolic links, `undefined` when there is nothing at its end. */
export function realPath(given: string): string | undefined {
  try {
    return realpathSync.native(given);
  } catch (error) {
    if (systemErrorCode(error) !== undefined) return undefined;
    throw error;
  }
}

function nearestRealPath(given: string): string {
  for (let current = given; ; current = path.posix.dirname(current)) {
    const real = realPath(current);
    if (real !== undefined) return real;
    if (current === '/') return '/';
  }
}

function liesInRepository(root: string, directory: string): boolean {
  for (let current = directory; current !== root && current !== '/'; current = path.posix.dirname(current)) {
    if (isGitDirectory(current)) return true;
  }
  return false;
}
