import { readFileSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { systemErrorCode, systemErrorText } from '#base/system-error';
import { isUrl } from './url.ts';

/** What is to be imported, and under which name. */
export interface Source {
  /** As the user wrote it, or found below it: a path or a URL, which may hold a password. */
  readonly location: string;
  /** Path of the repository in the storage: `group/project.git`. */
  readonly relativePath: string;
}

/** A source or a name that cannot be used; the message says what is wanted. Nothing has been imported. */
export class SourceError extends Error {
  override readonly name = 'SourceError';
}

/** Deeper than anybody keeps repositories; ends walks through odd file systems. */
const MAX_DEPTH = 32;
const MAX_SEGMENT_BYTES = 200;

/**
 * The git directory of a path: the path itself (bare), `.git` in it, or where a file `.git` leads. `undefined` when it is no
 * repository, or a linked worktree, whose repository is elsewhere.
 */
export function gitDirectoryOf(path: string): string | undefined {
  if (isGitDirectory(path)) return resolve(path);
  const inner = join(path, '.git');
  if (isGitDirectory(inner)) return resolve(inner);
  const target = gitFileTarget(inner);
  return target !== undefined && isGitDirectory(resolve(path, target)) ? resolve(path, target) : undefined;
}

/** The name that a repository gets by default: the last part of its path or URL, with `.git`. */
export function defaultName(location: string): string {
  const path = isUrl(location) ? location.replace(/[?#].*$/, '') : resolve(location);
  return basename(
    path
      .replace(/\/+$/, '')
      .replace(/\/\.git$/, '')
      .replace(/\.bundle$/, '')
      .replaceAll(':', '/'),
  );
}

/** A name as a path in the storage, with `.git`. @throws {SourceError} */
export function relativePathOf(name: string): string {
  const path = `${name.replace(/\/+$/, '').replace(/\.git$/, '')}.git`;
  const segments = path.split('/');
  const isBad = (segment: string): boolean =>
    /^\.{0,2}(\.git)?$|^\+gitaly$|\.lock$|[\p{Cc}\\]/u.test(segment) || Buffer.byteLength(segment) > MAX_SEGMENT_BYTES;
  if (segments.some(isBad) || segments.slice(0, -1).some((segment) => segment.endsWith('.git'))) {
    throw new SourceError(
      `"${name}" cannot be the name of a repository: want something like project or group/project (see --name)`,
    );
  }
  return path;
}

/**
 * The repositories at and below a directory, in the order of their paths. Repositories inside of repositories and symbolic links are
 * not looked for; `onUnreadable` is told of directories that cannot be read.
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
    const directories = entries.filter((entry) => entry.isDirectory() && entry.name !== '+gitaly').map((entry) => entry.name);
    for (const directory of directories.sort()) {
      yield* walk(join(path, directory), name === '' ? directory : `${name}/${directory}`, depth + 1);
    }
  }
}

/** Whether a path is a directory. @throws {SourceError} when nothing is there. */
export function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    throw new SourceError(`${path}: ${systemErrorText(error)}`, { cause: error });
  }
}

/** As git decides: `HEAD`, `objects`, and `refs` (which a reftable repository has too). */
function isGitDirectory(path: string): boolean {
  return (
    isKind(join(path, 'HEAD'), 'file') && isKind(join(path, 'objects'), 'directory') && isKind(join(path, 'refs'), 'directory')
  );
}

function isKind(path: string, kind: 'file' | 'directory'): boolean {
  try {
    const stats = statSync(path);
    return kind === 'file' ? stats.isFile() : stats.isDirectory();
  } catch {
    return false; // not there, or not for us: either way no repository that could be read
  }
}

/** Where a file `.git` (of a submodule, of `git init --separate-git-dir`) leads. */
function gitFileTarget(file: string): string | undefined {
  try {
    return /^gitdir: (.+)\n?$/.exec(readFileSync(file, 'utf8'))?.[1];
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    return undefined; // there is none
  }
}
