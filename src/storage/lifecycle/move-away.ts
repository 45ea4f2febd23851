import { lstat, rename } from 'node:fs/promises';
import path from 'node:path';
import { syncPath } from '#base/files/sync-path';
import { GitalyError, wrap, wrapped } from '#base/gitaly-error';
import { systemErrorCode } from '#base/go/system-error';
import { lockRepository } from '../locks/repository-lock.ts';
import { isInside } from '../relative-path.ts';
import type { RepositoryLocation, RepositoryTarget } from '../repository-target.ts';
import { isOwnPath } from '../storage-layout.ts';
import type { Storages } from '../storages.ts';
import { createTempDirectory } from '../temp-directories.ts';
import { walkRepositories } from '../walk-repositories.ts';

/**
 * Moves a file or directory that is no repository from the path of a repository to a temporary
 * directory. It stays there until it is old enough to be removed, because an operator may need it.
 *
 * @returns the new path; `undefined` if there is nothing at the path.
 * @throws {GitalyError} FAILED_PRECONDITION for a directory in which there are other repositories.
 */
export async function moveAway(storages: Storages, target: RepositoryTarget): Promise<string | undefined> {
  const location = storages.locate(target);
  if (!(await exists(location.path))) return undefined;
  await requireNoRepositories(location);
  await using _lock = await lockRepository(location.storage, location.path).catch(
    wrapped('locking repository'),
  );

  const seconds = Math.floor(Date.now() / 1000);
  const prefix = `${location.storage.name}-repositories.old.${seconds}.`;
  const scratch = await createTempDirectory(location.storage, prefix);
  const movedTo = `${scratch.path}/${path.posix.basename(location.path)}`;
  try {
    await rename(location.path, movedTo);
  } catch (error) {
    await scratch[Symbol.asyncDispose]();
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw wrap(error, 'moving away what is no repository');
  }
  storages.noteMove(location);
  storages.caches.forget(storages.repositoryAt(location));
  await syncPath(path.posix.dirname(location.path));
  return movedTo;
}

async function exists(file: string): Promise<boolean> {
  try {
    await lstat(file);
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return false;
    throw wrap(error, 'stat target');
  }
}

/**
 * Checks that a directory has no repositories: a wrong path must not move those of a whole group.
 */
async function requireNoRepositories({ storage, path: directory }: RepositoryLocation): Promise<void> {
  const isStorage = isInside(directory, storage.path);
  const below = isStorage ? [storage] : [{ name: storage.name, path: directory }];
  for (const root of below) for await (const _repository of walkRepositories(root)) throw notEmpty();
  if (isStorage || isOwnPath(storage, directory)) throw notEmpty();
}

function notEmpty(): GitalyError {
  return new GitalyError('FAILED_PRECONDITION', 'target directory contains other repositories');
}
