import { readdir, stat } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { typedEntries } from '#base/files/typed-entries';
import { systemErrorCode } from '#base/go/system-error';
import { shuffled } from '#base/shuffled';
import { isGitDirectory } from './git-directory.ts';
import type { Storage } from './repository-target.ts';
import { isOwnPath } from './storage-layout.ts';

export interface FoundRepository {
  readonly relativePath: string;
  /** Absolute directory. */
  readonly path: string;
  /** Last change of the directory. */
  readonly modifiedAt: Date;
}

export interface RepositoryWalkOptions {
  /** `path`, the default, is the byte order of path components. */
  readonly order?: 'path' | 'random';
  /**
   * Skips directories that this process may not read, for callers that need not know every
   * repository. One directory of another user must not end their work.
   */
  readonly skipUnreadable?: boolean;
  /** Absolute path of the directory to search; default: that of the storage. */
  readonly directory?: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Yields all repositories of a storage. Directories in a repository are not searched, nor those
 * behind symbolic links; a repository that is itself a link is yielded. A missing storage, and
 * directories that disappear meanwhile, are skipped.
 */
export async function* walkRepositories(
  storage: Storage,
  options: RepositoryWalkOptions = {},
): AsyncGenerator<FoundRepository, void, undefined> {
  yield* walk(storage, options.directory ?? storage.path, options);
}

async function* walk(
  storage: Storage,
  directory: string,
  options: RepositoryWalkOptions,
): AsyncGenerator<FoundRepository, void, undefined> {
  options.signal?.throwIfAborted();
  const read = await readdir(directory, { withFileTypes: true, encoding: 'buffer' }).catch(
    (error: unknown) =>
      options.skipUnreadable && directory !== storage.path && systemErrorCode(error) === 'EACCES'
        ? undefined
        : ignoreMissing(error),
  );
  const entries = typedEntries(directory, read ?? []);
  const ordered =
    options.order === 'random' ? shuffled(entries) : entries.sort((a, b) => a.name.compare(b.name));
  for (const entry of ordered) {
    const path = `${directory}/${entry.name.toString()}`;
    if (isOwnPath(storage, path) || !(entry.isDirectory() || entry.isSymbolicLink())) continue;
    const found = await repositoryAt(storage, path);
    if (found !== undefined) yield found;
    else if (entry.isDirectory()) yield* walk(storage, path, options);
  }
}

async function repositoryAt(storage: Storage, path: string): Promise<FoundRepository | undefined> {
  if (!isGitDirectory(path)) return undefined;
  const stats = await stat(path).catch(ignoreMissing);
  return stats && { relativePath: path.slice(storage.path.length + 1), path, modifiedAt: stats.mtime };
}
