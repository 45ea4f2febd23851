import { statSync } from 'node:fs';
import { GitalyError, invalidArgument } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import type { ObjectDirectories } from '#git/repository-files/git-directory';
import { isOwnQuarantine, isTransactionQuarantine } from './quarantine/quarantine-path.ts';
import { isInside, joinInside } from './relative-path.ts';
import type { RepositoryLocation, RepositoryTarget } from './repository-target.ts';
import { tempRoot } from './storage-layout.ts';
import { realPath } from './symlink-guard.ts';

/** Entries of a repository that never contain objects; the empty name is the repository itself. */
const NOT_FOR_OBJECTS: ReadonlySet<string> = new Set(
  ',branches,custom_hooks,hooks,info,logs,modules,refs,reftable,worktrees'.split(','),
);

/**
 * Returns the object directories of a call: the repository's own, or those in the request.
 *
 * A directory in the request must lie in the repository or be one of its own quarantines, with
 * symbolic links resolved. A missing one is passed on: git reports that it finds no repository.
 *
 * @throws {GitalyError} INTERNAL when one lies elsewhere, or where git keeps something else. In
 *   Gitaly git fails on the former, which clients see as INTERNAL too.
 */
export function objectDirectories(location: RepositoryLocation, target: RepositoryTarget): ObjectDirectories {
  const alternates = target.gitAlternateObjectDirectories ?? [];
  const named = target.gitObjectDirectory ?? '';
  return {
    objectDirectory: named === '' ? `${location.path}/objects` : allowedDirectory(location, named),
    alternateObjectDirectories: alternates.map((alternate) => allowedDirectory(location, alternate)),
  };
}

/**
 * Returns the object directory of a request, for calls that only measure it; it may also be the
 * quarantine of a transaction.
 *
 * @throws {GitalyError} INVALID_ARGUMENT when the request has none or one that lies elsewhere,
 *   NOT_FOUND when it is missing.
 */
export function namedObjectDirectory(location: RepositoryLocation, target: RepositoryTarget): string {
  const named = target.gitObjectDirectory ?? '';
  if (named === '') throw invalidArgument('object directory path is not set');

  const directory = joinInside(location.storage.path, `${location.relativePath}/${named}`);
  if (directory === undefined) {
    throw invalidArgument('validate relative path: relative path escapes root directory');
  }
  if (!belongsTo(location, directory) && !isInTransaction(location, directory)) {
    throw invalidArgument('not a valid relative path: relative path escapes root directory');
  }
  if (statSync(directory, { throwIfNoEntry: false }) === undefined) {
    throw new GitalyError('NOT_FOUND', `object directory does not exist: ${quote(directory)}`);
  }
  return directory;
}

function allowedDirectory(location: RepositoryLocation, named: string): string {
  const directory = joinInside(location.storage.path, `${location.relativePath}/${named}`);
  if (directory === undefined || !belongsTo(location, directory) || isInUse(location, directory)) {
    throw new GitalyError('INTERNAL', 'object directory lies outside of the repository', {
      metadata: { object_directory: named },
    });
  }
  return directory;
}

/**
 * Reports whether git keeps something else in a directory: a call that writes objects there would
 * leave files that look like references or hooks.
 */
function isInUse({ path }: RepositoryLocation, directory: string): boolean {
  if (!isInside(path, directory)) return false; // a quarantine
  return NOT_FOR_OBJECTS.has(directory.slice(path.length + 1).split('/')[0] ?? '');
}

function belongsTo(location: RepositoryLocation, directory: string): boolean {
  if (directory.includes('\0')) return false;
  const quarantine = isOwnQuarantine(location, directory);
  if (!quarantine && !isInside(location.path, directory)) return false;

  return staysInside(quarantine ? tempRoot(location.storage) : location.path, directory);
}

function isInTransaction({ storage }: RepositoryLocation, directory: string): boolean {
  return (
    isTransactionQuarantine(directory) && !directory.includes('\0') && staysInside(storage.path, directory)
  );
}

/**
 * Reports whether a path stays in a directory when symbolic links are resolved. A missing path
 * stays inside.
 */
function staysInside(root: string, directory: string): boolean {
  const real = realPath(directory);
  if (real === undefined) return true;
  const realRoot = realPath(root);
  return realRoot === undefined || isInside(realRoot, real);
}
