import type { Dirent } from 'node:fs';
import { readdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { ignoreMissing } from '#base/files/ignore-missing';
import type { RepositoryLocation } from '../repository-target.ts';
import { createTempDirectory } from '../temp-directories.ts';

/** Limit of the entries that are read: a process leaves some directories and a lock. */
const MAX_ENTRIES = 1000;
/** Directories in which git makes directories and files during its work. */
const WORKED_IN = /^(?:logs|objects|refs|reftable|worktrees)$/;
/** Files that git first makes under another name. */
const UNFINISHED = /\.lock$|^(?:tmp_|\.tmp-)/;

/**
 * Reports whether a directory is all that a git process has left at the path of a repository that
 * was removed while it ran: git creates missing directories when it locks a reference. There are no
 * objects and no HEAD, so nothing of use is lost. `false` for an empty directory: it may be a group
 * whose repositories have moved.
 */
export async function isRest(directory: string): Promise<boolean> {
  const top = await entriesIn(directory);
  if (top.length === 0 || top.some(({ name }) => !WORKED_IN.test(name) && !UNFINISHED.test(name)))
    return false;
  const waiting = [...top];
  let count = 0;
  for (let entry = waiting.pop(); entry !== undefined; entry = waiting.pop()) {
    if (++count > MAX_ENTRIES || !(entry.isDirectory() || UNFINISHED.test(entry.name))) return false;
    if (entry.isDirectory()) waiting.push(...(await entriesIn(`${entry.parentPath}/${entry.name}`)));
  }
  return true;
}

/** Removes a directory if {@link isRest}. The caller holds the lock of the repository. */
export async function removeRest({
  storage,
  path: directory,
}: Pick<RepositoryLocation, 'storage' | 'path'>): Promise<void> {
  if (!(await isRest(directory))) return;
  // Renamed first: a process that still runs could otherwise add to it between two removals.
  await using scratch = await createTempDirectory(storage, `${path.posix.basename(directory)}+rest-`);
  await rename(directory, `${scratch.path}/rest`).catch(ignoreMissing);
}

async function entriesIn(directory: string): Promise<readonly Dirent[]> {
  return (await readdir(directory, { withFileTypes: true }).catch(ignoreMissing)) ?? [];
}
