import { readdir, stat } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { wrapped } from '#base/gitaly-error';
import { flag, gitCommand } from '#git/command/git-command';
import { GitExitError } from '#git/command/process/exit-error';
import type { Repository } from '#storage/repository';
import { removeTree } from '#storage/temp-directories';

/** Directory in which old versions of Gitaly made working trees for rebases. */
const OWN_WORKTREES = 'gitlab-worktree';
/** No operation runs that long. @see Gitaly: housekeeping, worktrees */
const MAX_AGE_MS = 6 * 60 * 60 * 1000;
const NOT_A_WORKTREE = /is not a working tree/;

export interface CleanWorktreesOptions {
  readonly signal: AbortSignal;
}

/**
 * Removes the working trees that dead operations have left in a repository, and what git knows of
 * missing ones. Without any it costs two calls of the file system.
 *
 * @throws {GitalyError} INTERNAL `cleanStaleWorktrees: …`, `cleanDisconnectedWorktrees: …`.
 */
export async function cleanWorktrees(repository: Repository, options: CleanWorktreesOptions): Promise<void> {
  await removeStale(repository, options).catch(wrapped('cleanStaleWorktrees'));
  await removeDisconnected(repository, options).catch(wrapped('cleanDisconnectedWorktrees'));
}

async function removeStale(repository: Repository, options: CleanWorktreesOptions): Promise<void> {
  const oldestMs = Date.now() - MAX_AGE_MS;
  const parent = `${repository.path}/${OWN_WORKTREES}`;
  for (const name of await directoriesIn(parent)) {
    const path = `${parent}/${name}`;
    const stats = await stat(path).catch(ignoreMissing);
    if (stats === undefined || stats.mtimeMs >= oldestMs) continue;
    await removeWorktree(repository, path, options);
  }
}

async function removeWorktree(
  repository: Repository,
  path: string,
  { signal }: CleanWorktreesOptions,
): Promise<void> {
  const command = gitCommand('worktree', { action: 'remove', options: [flag('--force')], args: [path] });
  try {
    await repository.run(command, { signal, hooks: 'disabled' });
  } catch (error) {
    if (!(error instanceof GitExitError) || !NOT_A_WORKTREE.test(error.stderr)) throw error;
    await removeTree(path);
  }
}

async function removeDisconnected(repository: Repository, { signal }: CleanWorktreesOptions): Promise<void> {
  if ((await directoriesIn(`${repository.path}/worktrees`)).length === 0) return;
  await repository.run(gitCommand('worktree', { action: 'prune' }), { signal, hooks: 'disabled' });
}

async function directoriesIn(path: string): Promise<string[]> {
  const entries = (await readdir(path, { withFileTypes: true }).catch(ignoreMissing)) ?? [];
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}
