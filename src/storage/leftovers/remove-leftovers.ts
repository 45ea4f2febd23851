import { endChange } from '../cache/cache-generations.ts';
import { endMigration } from '../lifecycle/reference-files.ts';
import { hasStaleLock, removeStaleLock } from '../locks/repository-lock.ts';
import type { Storage } from '../repository-target.ts';
import { removeTree } from '../temp-directories.ts';
import { type DeadChanges, type DeadChangesOptions, deadChanges, UNKNOWN_DEAD_MS } from './dead-changes.ts';
import { type Leftover, OWN_START_MS, repositoryLeftovers } from './repository-leftovers.ts';
import { isWorkedIn } from './working-processes.ts';

/** File systems take times from the last tick of the clock. */
const CLOCK_MARGIN_MS = 50;

export interface RemovedLeftovers {
  readonly removed: readonly Leftover[];
  /** Relative paths of repositories that are still in use, to be checked later. */
  readonly postponed: readonly string[];
}

/**
 * Removes what dead processes left in the repositories that they were changing: the lock next to a
 * repository, and temporary files, quarantines and locks in it. It checks only these repositories,
 * one after the other, and skips those in which a process still works. Where an unknown process (of
 * another machine, container or boot) may be at work, only age decides.
 */
export async function removeLeftovers(
  storage: Storage,
  options: DeadChangesOptions = {},
): Promise<RemovedLeftovers> {
  const removed: Leftover[] = [];
  const postponed: string[] = [];
  for await (const changes of deadChanges(storage, options)) {
    const path = pathOf(changes);
    if (await removeStaleLock(storage, path)) removed.push({ kind: 'locks', path: `${path}.lock` });
    const bornBeforeMs = await deadBefore(changes);
    if (bornBeforeMs === undefined) {
      postponed.push(changes.relativePath);
      continue;
    }
    for await (const leftover of repositoryLeftovers(path, bornBeforeMs)) {
      if (leftover.kind === 'refmigrations') await endMigration(path, leftover.path);
      else await removeTree(leftover.path);
      removed.push(leftover);
    }
    // Younger files are removed later, when no unknown process can use them.
    if (changes.others === 'unknown') continue;
    for (const mark of changes.marks) endChange(changes, mark);
  }
  return { removed, postponed };
}

/**
 * Returns the time before which everything unfinished in a repository was made by dead processes;
 * `undefined` while a process is at work whose files may be as old. A change that begins meanwhile
 * makes newer files.
 */
async function deadBefore(changes: DeadChanges): Promise<number | undefined> {
  switch (changes.others) {
    case 'unknown':
      return changes.lookedMs - UNKNOWN_DEAD_MS;
    case 'own':
      return changes.latestMs < OWN_START_MS ? OWN_START_MS : undefined;
    case 'running':
      return undefined;
    case 'none':
      return (await isWorkedIn(pathOf(changes))) ? undefined : changes.lookedMs - CLOCK_MARGIN_MS;
  }
}

/** Lists the paths that {@link removeLeftovers} would remove at the start of a server. */
export async function* listLeftovers(storage: Storage): AsyncGenerator<string> {
  for await (const changes of deadChanges(storage)) {
    const path = pathOf(changes);
    if (await hasStaleLock(path)) yield `${path}.lock`;
    const bornBeforeMs = changes.lookedMs - (changes.others === 'unknown' ? UNKNOWN_DEAD_MS : 0);
    for await (const leftover of repositoryLeftovers(path, bornBeforeMs)) yield leftover.path;
  }
}

function pathOf({ storage, relativePath }: DeadChanges): string {
  return `${storage.path}/${relativePath}`;
}
