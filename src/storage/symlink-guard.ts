import { lstatSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { systemErrorCode } from '#base/go/system-error';
import { isGitDirectory } from './git-directory.ts';
import { isInside } from './relative-path.ts';

/** Longest path in bytes on Linux and macOS: nothing exists at a longer one. */
const PATH_MAX = 4096;

/**
 * Reports whether symbolic links lead a clean path below a storage out of it. There are two kinds
 * of links:
 *
 * - An operator moves one repository to another disk: the last component of its path is a link.
 *   Gitaly follows it (recorded), and so do we.
 * - A link from a client's content (custom hooks, an unpacked archive) lies *inside* a repository.
 *   Following it would expose every repository of the machine. It is refused, and so is every link
 *   among the parent directories, which no known installation has.
 *
 * For a path that does not exist yet, its nearest existing ancestor is checked.
 */
export function escapesBySymlink(storagePath: string, repositoryPath: string): boolean {
  // the kernel itself refuses NUL
  if (repositoryPath === storagePath || repositoryPath.includes('\0')) return false;
  if (isPathOfDirectories(storagePath, repositoryPath)) return false;
  const root = realPath(storagePath);
  if (root === undefined) return false;
  const real = realPath(repositoryPath);
  if (real !== undefined && isInside(root, real)) return false;

  const parent = nearestRealPath(path.posix.dirname(repositoryPath));
  if (!isInside(root, parent)) return true;
  return real !== undefined && liesInRepository(root, parent);
}

/** Reports whether everything on a path below a storage is a directory, not a link to one. */
function isPathOfDirectories(storagePath: string, repositoryPath: string): boolean {
  try {
    for (let end = storagePath.length; end !== -1; ) {
      end = repositoryPath.indexOf('/', end + 1);
      const directory = end === -1 ? repositoryPath : repositoryPath.slice(0, end);
      if (lstatSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) return false;
    }
    return true;
  } catch (error) {
    if (systemErrorCode(error) !== undefined) return false;
    throw error;
  }
}

/** Returns the path with symbolic links resolved; `undefined` if its target does not exist. */
export function realPath(given: string): string | undefined {
  try {
    return realpathSync.native(given);
  } catch (error) {
    if (systemErrorCode(error) !== undefined) return undefined;
    throw error;
  }
}

function nearestRealPath(given: string): string {
  for (let current = withoutLongNames(given); ; current = path.posix.dirname(current)) {
    const real = realPath(current);
    if (real !== undefined) return real;
    if (current === '/') return '/';
  }
}

/** Returns the longest parent directory, or the path itself, that the kernel may know. */
function withoutLongNames(given: string): string {
  if (given.length < PATH_MAX) return given;
  return given.slice(0, Math.max(given.lastIndexOf('/', PATH_MAX), 1));
}

function liesInRepository(root: string, directory: string): boolean {
  for (let current = directory; current !== root && current !== '/'; current = path.posix.dirname(current)) {
    if (isGitDirectory(current)) return true;
  }
  return false;
}
