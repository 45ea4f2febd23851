import { readFileSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { systemErrorCode, systemErrorText } from '#base/go/system-error';
import { trimmedEnd } from '#base/trim';
import { isUrl } from './url.ts';

/** A source to import, and its name. */
export interface ImportSource {
  /** Path or URL as given by the user, or found below it; a URL may contain a password. */
  readonly location: string;
  /** Path of the repository in the storage: `group/project.git`. */
  readonly relativePath: string;
}

/** An invalid source or name. The message describes the expected form. Nothing was imported. */
export class SourceError extends Error {
  override readonly name = 'SourceError';
}

/** Limit for walks through unusual file systems; repositories are not nested deeper. */
const MAX_DEPTH = 32;
const MAX_SEGMENT_BYTES = 200;

/**
 * Returns the git directory of a path: the path itself (bare), its `.git`, or the target of a file
 * `.git`. Returns `undefined` if it is not a repository, or a linked worktree, whose repository is
 * elsewhere.
 */
export function gitDirectoryOf(path: string): string | undefined {
  if (isGitDirectory(path)) return resolve(path);
  const inner = join(path, '.git');
  if (isGitDirectory(inner)) return resolve(inner);
  const target = gitFileTarget(inner);
  return target !== undefined && isGitDirectory(resolve(path, target)) ? resolve(path, target) : undefined;
}

/** Returns the default name of a repository: the last part of its path or URL, with `.git`. */
export function defaultName(location: string): string {
  const path = isUrl(location) ? location.split(/[?#]/, 1).join('') : resolve(location);
  return basename(
    trimmedEnd(path, '/')
      .replace(/\/\.git$/, '')
      .replace(/\.bundle$/, '')
      .replaceAll(':', '/'),
  );
}

/** Converts a name to a path in the storage, with `.git`. @throws {SourceError} */
export function relativePathOf(name: string): string {
  const path = `${trimmedEnd(name, '/').replace(/\.git$/, '')}.git`;
  const segments = path.split('/');
  const isBad = (segment: string): boolean =>
    /^\.{0,2}(\.git)?$|^\+gitaly$|\.lock$|[\p{Cc}\\]/u.test(segment) ||
    Buffer.byteLength(segment) > MAX_SEGMENT_BYTES;
  if (segments.some(isBad) || segments.slice(0, -1).some((segment) => segment.endsWith('.git'))) {
    throw new SourceError(
      `"${name}" is not a valid repository name: expected a name such as project or group/project (see ` +
        '--name)',
    );
  }
  return path;
}

/**
 * Yields the repositories at and below a directory, in the order of their paths. It skips
 * repositories inside repositories and symbolic links, and calls `onUnreadable` for directories
 * that cannot be read.
 */
export async function* findRepositories(
  root: string,
  onUnreadable: (path: string, reason: string) => void,
): AsyncGenerator<{ readonly location: string; readonly name: string }, void, undefined> {
  yield* walk(root, '', 0);

  async function* walk(path: string, name: string, depth: number): ReturnType<typeof findRepositories> {
    if (gitDirectoryOf(path) !== undefined) {
      yield { location: path, name: name === '' ? defaultName(path) : name };
      return;
    }
    if (depth > MAX_DEPTH) return;
    const entries = await readdir(path, { withFileTypes: true }).catch((error: unknown) => {
      onUnreadable(path, systemErrorText(error));
      return [];
    });
    const directories = entries
      .filter((entry) => entry.isDirectory() && entry.name !== '+gitaly')
      .map((entry) => entry.name);
    for (const directory of directories.sort()) {
      yield* walk(join(path, directory), name === '' ? directory : `${name}/${directory}`, depth + 1);
    }
  }
}

/** Reports whether a path is a directory. @throws {SourceError} when it does not exist. */
export function isLocalDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    throw new SourceError(`${path}: ${systemErrorText(error)}`, { cause: error });
  }
}

/** Applies git's rule: a git directory has `HEAD`, `objects`, and `refs` (also with reftable). */
function isGitDirectory(path: string): boolean {
  return (
    isKind(join(path, 'HEAD'), 'file') &&
    isKind(join(path, 'objects'), 'directory') &&
    isKind(join(path, 'refs'), 'directory')
  );
}

function isKind(path: string, kind: 'file' | 'directory'): boolean {
  try {
    const stats = statSync(path);
    return kind === 'file' ? stats.isFile() : stats.isDirectory();
  } catch {
    return false; // missing or inaccessible: in either case not a readable repository
  }
}

/** Returns the target of a file `.git` (of a submodule, or of `git init --separate-git-dir`). */
function gitFileTarget(file: string): string | undefined {
  try {
    return /^gitdir: (.+)\n?$/.exec(readFileSync(file, 'utf8'))?.[1];
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    return undefined; // there is none
  }
}
