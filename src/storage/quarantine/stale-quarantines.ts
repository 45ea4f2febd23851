import { lstat, readdir } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { removeTree } from '../temp-directories.ts';

/** Gitaly's age for quarantines of pushes: no push takes three days. */
export const STALE_QUARANTINE_MS = 72 * 60 * 60 * 1000;

/**
 * Matches directories in which `git receive-pack` keeps a pack until it is accepted; the second is
 * the name before git 2.35.
 */
export const QUARANTINE = /^(tmp_objdir-incoming-|incoming-)/;

/**
 * Removes the leftovers of killed pushes. A killed git cannot clean up, and the directory of a
 * running push must stay, so the age decides.
 *
 * @param objectDirectory object directory of a repository. @returns the names of the removed
 *   directories.
 */
export async function removeStaleQuarantines(
  objectDirectory: string,
  nowMs = Date.now(),
): Promise<readonly string[]> {
  const oldestMs = nowMs - STALE_QUARANTINE_MS;
  const removed: string[] = [];
  for (const name of (await readdir(objectDirectory).catch(ignoreMissing)) ?? []) {
    if (!QUARANTINE.test(name)) continue;
    const path = `${objectDirectory}/${name}`;
    const stats = await lstat(path).catch(ignoreMissing);
    if (stats === undefined || stats.mtimeMs >= oldestMs) continue;
    await removeTree(path);
    removed.push(name);
  }
  return removed;
}
