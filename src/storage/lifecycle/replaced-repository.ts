import { existsSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ignoreMissing } from '#base/files/ignore-missing';
import { syncPath } from '#base/files/sync-path';
import { entryNamesIn } from '#base/files/typed-entries';
import { wrap } from '#base/gitaly-error';
import { LockTakenError, lockRepository } from '../locks/repository-lock.ts';
import type { Repository } from '../repository.ts';
import type { Storage } from '../repository-target.ts';
import { tempRoot } from '../storage-layout.ts';
import type { Storages } from '../storages.ts';
import { createTempDirectory } from '../temp-directories.ts';
import { makeDirectories } from './make-directories.ts';
import { placeRepository } from './place-repository.ts';
import { noteRemoval } from './remove-repository.ts';
import { removeRest } from './remove-rest.ts';

/** Part of the name of the temporary directory of a repository that is replaced. */
const REPLACED = '+replaced-';
/** File in it with the relative path of the repository, until another one is in its place. */
const PATH = 'path';
const REPOSITORY = 'repo';

/**
 * Replaces a repository by a complete one: it is moved to a temporary directory, and back if the
 * other one cannot take its place. If the process dies in between, {@link putBackReplaced} moves it
 * back. The caller holds the lock of the path.
 *
 * @param from directory of the other one, on the same file system.
 * @returns the directory with the replaced repository, to be deleted.
 */
export async function replaceRepository(
  storages: Storages,
  repository: Repository,
  from: string,
): Promise<string> {
  const { relativePath, storage } = repository;
  const prefix = `${path.posix.basename(repository.path)}${REPLACED}`;
  const { path: directory } = await createTempDirectory(storage, prefix);
  const moveAway = async (): Promise<void> => {
    try {
      await writeFile(`${directory}/${PATH}`, relativePath, { flush: true });
      await rename(repository.path, `${directory}/${REPOSITORY}`);
    } catch (error) {
      await rm(directory, { recursive: true });
      throw wrap(error, 'staging repository for removal');
    }
    await syncPath(directory);
  };
  await storages.recordWhile({ kind: 'removed', location: repository }, moveAway);
  noteRemoval(storages, repository);
  try {
    await removeRest(repository);
    await placeRepository(storages, repository, from);
  } catch (error) {
    await putBack(storages, repository, directory);
    throw error;
  }
  await rm(`${directory}/${PATH}`);
  return directory;
}

/**
 * Moves repositories back that a process was replacing when it died, unless another one is at their
 * path. Those that are replaced now are locked.
 *
 * @param onFailed called for each that cannot be moved back.
 * @returns the names of the temporary directories of these, and of those that are locked.
 */
export async function putBackReplaced(
  storages: Storages,
  storage: Storage,
  onFailed: (error: unknown) => void,
): Promise<ReadonlySet<string>> {
  const kept = new Set<string>();
  for (const name of await entryNamesIn(tempRoot(storage))) {
    if (!name.includes(REPLACED)) continue;
    const directory = `${tempRoot(storage)}/${name}`;
    try {
      const relativePath = await readFile(`${directory}/${PATH}`, 'utf8').catch(ignoreMissing);
      if (relativePath === undefined || !existsSync(`${directory}/${REPOSITORY}`)) continue;
      const location = storages.locate({ storageName: storage.name, relativePath });
      await makeDirectories(storage, path.posix.dirname(location.path));
      await using _lock = await lockRepository(storage, location.path);
      await putBack(storages, storages.repositoryAt(location), directory);
    } catch (error) {
      kept.add(name);
      if (!(error instanceof LockTakenError)) onFailed(error);
    }
  }
  return kept;
}

/** Moves a repository back. One that has a successor is left to the temp cleaner. */
async function putBack(storages: Storages, repository: Repository, directory: string): Promise<void> {
  await removeRest(repository);
  const hasSuccessor = existsSync(repository.path);
  if (!hasSuccessor) await placeRepository(storages, repository, `${directory}/${REPOSITORY}`);
  await rm(hasSuccessor ? `${directory}/${PATH}` : directory, { recursive: true });
}
