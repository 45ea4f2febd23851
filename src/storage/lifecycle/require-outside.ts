import { relative } from 'node:path';
import { invalidArgument } from '#base/gitaly-error';
import { isGitDirectory } from '../git-directory.ts';
import type { RepositoryLocation } from '../repository-target.ts';

/** Directories of a repository whose files are references, objects, settings or programs. */
const INNER: ReadonlySet<string> = new Set([
  ...['branches', 'custom_hooks', 'hooks', 'info', 'logs'],
  ...['modules', 'objects', 'refs', 'reftable', 'worktrees'],
]);

/**
 * Refuses a place among the files of another repository, such as `a.git/refs/b.git`: git would take
 * those of the new one for references. Gitaly refuses no place inside another repository; next to
 * its files, as in `a.git/b.git`, neither is damaged.
 *
 * @throws {GitalyError} INVALID_ARGUMENT.
 */
export function requireOutside({ path, storage }: RepositoryLocation): void {
  let directory = storage.path;
  for (const name of relative(storage.path, path).split('/')) {
    if (INNER.has(name) && isGitDirectory(directory))
      throw invalidArgument('the path is among the files of another repository');
    directory = `${directory}/${name}`;
  }
}
