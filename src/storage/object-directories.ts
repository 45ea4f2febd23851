import { statSync } from 'node:fs';
import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/quote';
import { isOwnQuarantine, isTransactionQuarantine } from './quarantine-path.ts';
import { isInside, joinInside } from './relative-path.ts';
import type { RepositoryLocation, RepositoryTarget } from './repository-target.ts';
import { tempRoot } from './storage-layout.ts';
import { realPath } from './symlink-guard.ts';

export interface ObjectDirectories {
  /** Absolute directory that objects are written to and read from first. */
  readonly objectDirectory: string;
  /** Absolute directories that objects are read from besides. */
  readonly alternateObjectDirectories: readonly string[];
}

/**
 * The object directories of a call: the repository's own, or those that the request names.
 *
 * A named directory must lie in the repository or be one of its own quarantines, also when symbolic links are followed.
 * One that does not exist is handed on: git says that it finds no repository.
 *
 * @throws {GitalyError} INTERNAL when one lies elsewhere. Gitaly lets git fail on it, which clients see as INTERNAL too.
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
 * The object directory that a request names, for calls that only measure it: also the quarantine of a transaction.
 *
 * @throws {GitalyError} INVALID_ARGUMENT when the request names none or one that lies elsewhere, NOT_FOUND when it is missing.
 */
export function namedObjectDirectory(location: RepositoryLocation, target: RepositoryTarget): string {
  const named = target.gitObjectDirectory ?? '';
  if (named === '') throw new GitalyError('INVALID_ARGUMENT', 'object directory path is not set');

  const directory = joinInside(location.storage.path, `${location.relativePath}/${named}`);
  if (directory === undefined) {
    throw new GitalyError('INVALID_ARGUMENT', 'validate relative path: relative path escapes root directory');
  }
  if (!belongsTo(location, directory) && !isInTransaction(location, directory)) {
    throw new GitalyError('INVALID_ARGUMENT', 'not a valid relative path: relative path escapes root directory');
  }
  if (statSync(directory, { throwIfNoEntry: false }) === undefined) {
    throw new GitalyError('NOT_FOUND', `object directory does not exist: ${quote(directory)}`);
  }
  return directory;
}

function allowedDirectory(location: RepositoryLocation, named: string): string {
  const directory = joinInside(location.storage.path, `${location.relativePath}/${named}`);
  if (directory === undefined || !belongsTo(location, directory)) {
    throw new GitalyError('INTERNAL', 'object directory lies outside of the repository', {
      metadata: { object_directory: named },
    });
  }
  return directory;
}

function belongsTo(location: RepositoryLocation, directory: string): boolean {
  if (directory.includes('\0')) return false;
  const quarantine = isOwnQuarantine(location, directory);
  if (!quarantine && !isInside(location.path, directory)) return false;

  return staysInside(quarantine ? tempRoot(location.storage) : location.path, directory);
}

function isInTransaction({ storage }: RepositoryLocation, directory: string): boolean {
  return isTransactionQuarantine(directory) && !directory.includes('\0') && staysInside(storage.path, directory);
}

/** Whether symbolic links lead out of a directory that the path lies in by text. What is not there leads nowhere. */
function staysInside(root: string, directory: string): boolean {
  const real = realPath(directory);
  if (real === undefined) return true;
  const realRoot = realPath(root);
  return realRoot === undefined || isInside(realRoot, real);
}
