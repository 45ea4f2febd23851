import { readdir } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { pendingDirectory } from '../cache/cache-generations.ts';
import type { Repository } from '../repository.ts';
import { removeTree } from '../temp-directories.ts';
import { type LeftoverKind, repositoryLeftovers } from './repository-leftovers.ts';
import { isWorkedIn } from './working-processes.ts';

/**
 * Minimum age of a lock that is removed. A younger one may be that of a git whose call has ended:
 * such a git has ten seconds to end, too.
 */
const MIN_AGE_MS = 60_000;

const LOCKS: ReadonlySet<LeftoverKind> = new Set(['locks', 'packedrefslock', 'reflocks', 'reftablelocks']);

/**
 * Removes the locks in a repository whose processes have ended, before a change that they would
 * block. A killed git leaves locks although its server continues, so no mark shows them at the next
 * start. Nothing is removed while another change of the repository is running, or a process of this
 * machine works there.
 *
 * @param nowMs milliseconds since 1970, for tests.
 * @returns the paths of the removed locks.
 */
export async function removeStaleLocks(
  repository: Repository,
  nowMs = Date.now(),
): Promise<readonly string[]> {
  // This is checked before and after the search: a lock that is older than both was left by a
  // change that has ended.
  if (await isChangedByOthers(repository)) return [];
  const locks: string[] = [];
  for await (const { kind, path } of repositoryLeftovers(repository.path, nowMs - MIN_AGE_MS))
    if (LOCKS.has(kind) && path.endsWith('.lock')) locks.push(path);
  if (locks.length === 0) return [];
  if ((await isWorkedIn(repository.path)) || (await isChangedByOthers(repository))) return [];
  for (const path of locks) await removeTree(path);
  return locks;
}

/** Reports whether there are marks of changes besides that of the caller. */
async function isChangedByOthers(repository: Repository): Promise<boolean> {
  const marks = (await readdir(pendingDirectory(repository)).catch(ignoreMissing)) ?? [];
  return marks.length > 1;
}
