import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rename, stat } from 'node:fs/promises';
import path from 'node:path';
import { syncPath } from '#base/files/sync-path';
import { GitalyError, withCode, wrap } from '#base/gitaly-error';
import { systemErrorCode } from '#base/go/system-error';
import { lockForCall, lockRepository } from '../locks/repository-lock.ts';
import type { Repository } from '../repository.ts';
import type { Storages } from '../storages.ts';
import { createTempDirectory, removeTree } from '../temp-directories.ts';
import { removeRest } from './remove-rest.ts';
import { noVote, type Vote } from './voter.ts';

export interface RemoveRepositoryOptions {
  readonly vote?: Vote | undefined;
  /**
   * Called if the files of a removed repository could not be deleted; the temp cleaner deletes them
   * later.
   */
  readonly onLeftover?: (error: unknown) => void;
}

/**
 * Removes a repository: renames it atomically, then deletes it. It is either complete or gone for
 * clients, whenever the process dies. An open `cat-file` process may serve it for a moment longer.
 *
 * @throws {GitalyError} FAILED_PRECONDITION when another call creates or removes it, NOT_FOUND when
 *   one just did.
 */
export async function removeRepository(
  storages: Storages,
  repository: Repository,
  options: RemoveRepositoryOptions = {},
): Promise<void> {
  const vote = options.vote ?? noVote;
  await castVote(vote, 'preparing', `acquiring distributed lock ${repository.relativePath}`);

  let removed: string | undefined;
  try {
    await using _lock = await lockForCall(
      repository.storage,
      repository.path,
      'locking repository for removal',
    );
    await requirePresent(repository.path);
    await castVote(vote, 'prepared', `pre-remove ${repository.relativePath}`);
    await storages.recordWhile({ kind: 'removed', location: repository }, async () => {
      removed = await moveAway(repository);
    });
    noteRemoval(storages, repository);
    await castVote(vote, 'committed', `post-remove ${repository.relativePath}`);
  } finally {
    // Its files can take a while, and the lock is not needed for them.
    if (removed !== undefined) {
      const onError = options.onLeftover ?? (() => undefined);
      await removeTree(removed).catch(onError);
      await removeRestOf(repository).catch(onError);
    }
  }
}

/** Casts the votes of a removal that is a part of another change, before it is made. */
export async function voteOnRemoval({ relativePath }: Repository, vote: Vote): Promise<void> {
  await castVote(vote, 'preparing', `acquiring distributed lock ${relativePath}`);
  await castVote(vote, 'prepared', `pre-remove ${relativePath}`);
  await castVote(vote, 'committed', `post-remove ${relativePath}`);
}

/** Has the server forget a repository that is no longer at its path. */
export function noteRemoval(storages: Storages, repository: Repository): void {
  storages.repositoryCounts.add(repository, -1);
  storages.noteMove(repository);
  repository.caches.forget(repository);
}

/**
 * Removes what a git process has left at the path since then. Creating a repository removes it,
 * too.
 */
async function removeRestOf(repository: Repository): Promise<void> {
  if (!existsSync(repository.path)) return;
  await using _lock = await lockRepository(repository.storage, repository.path);
  await removeRest(repository);
}

async function castVote(
  vote: Vote,
  phase: 'preparing' | 'prepared' | 'committed',
  text: string,
): Promise<void> {
  await vote(phase, createHash('sha1').update(text).digest());
}

async function requirePresent(repositoryPath: string): Promise<void> {
  try {
    await stat(repositoryPath);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT')
      throw new GitalyError('NOT_FOUND', 'repository was concurrently removed', { cause: error });
    throw withCode(error, 'INTERNAL');
  }
}

/** Renames the repository. @returns the directory that now contains it. */
async function moveAway(repository: Repository): Promise<string> {
  const parent = path.posix.dirname(repository.path);
  const scratch = await createTempDirectory(
    repository.storage,
    `${path.posix.basename(repository.path)}+removed-`,
  );
  try {
    await rename(repository.path, `${scratch.path}/repo`);
  } catch (error) {
    await scratch[Symbol.asyncDispose]();
    throw wrap(error, 'staging repository for removal');
  }
  await syncPath(parent);
  return scratch.path;
}
