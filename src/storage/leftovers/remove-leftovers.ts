import { statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { ownerOf, ownerSuffix } from '#base/process-identity';
import { endChange } from '../cache/cache-generations.ts';
import { endMigration } from '../lifecycle/reference-files.ts';
import { hasStaleLock, removeStaleLock } from '../locks/repository-lock.ts';
import { STALE_QUARANTINE_MS } from '../quarantine/stale-quarantines.ts';
import type { Storage } from '../repository-target.ts';
import { PENDING, stateRoot } from '../storage-layout.ts';
import { removeTree } from '../temp-directories.ts';
import { type Leftover, OWN_START_MS, repositoryLeftovers } from './repository-leftovers.ts';
import { isWorkedIn } from './working-processes.ts';

/** File systems take times from the last tick of the clock. */
const CLOCK_MARGIN_MS = 50;

export interface RemovedLeftovers {
  readonly removed: readonly Leftover[];
  /** Relative paths of repositories to be checked later: they are in use, or have too young files. */
  readonly postponed: readonly string[];
  /** Why repositories could not be cleaned: their marks stay, for the next time. */
  readonly failures: readonly unknown[];
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
  const failures: unknown[] = [];
  for await (const changes of deadChanges(storage, options))
    try {
      if (!(await removeAfter(changes, removed))) postponed.push(changes.relativePath);
    } catch (error) {
      failures.push(error);
    }
  return { removed, postponed, failures };
}

/** Removes what was left in one repository, and adds it to a list. @returns false if some may be left. */
async function removeAfter(changes: DeadChanges, removed: Leftover[]): Promise<boolean> {
  const { marks, others, storage } = changes;
  const path = pathOf(changes);
  if (await removeStaleLock(storage, path)) removed.push({ kind: 'locks', path: `${path}.lock` });
  const bornBeforeMs = await deadBefore(changes);
  if (bornBeforeMs === undefined) return false;
  for await (const leftover of repositoryLeftovers(path, bornBeforeMs)) {
    if (leftover.kind === 'refmigrations') await endMigration(path, leftover.path);
    else await removeTree(leftover.path);
    removed.push(leftover);
  }
  // One as young as the search is of the dead, or of a change that began meanwhile.
  if (others === 'none' && (await hasLeftovers(path))) return false;
  // Younger files are removed later, when no unknown process can use them.
  if (others !== 'unknown') for (const mark of marks) endChange(changes, mark);
  return true;
}

async function hasLeftovers(path: string): Promise<boolean> {
  for await (const _ of repositoryLeftovers(path, Number.POSITIVE_INFINITY)) return true;
  return false;
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

interface DeadChangesOptions {
  /** Milliseconds since 1970, for tests. */
  readonly nowMs?: () => number;
  readonly signal?: AbortSignal | undefined;
}

/** Changes of one repository that ended with their process. */
interface DeadChanges {
  readonly storage: Storage;
  readonly relativePath: string;
  /** Absolute paths of their marks. */
  readonly marks: readonly string[];
  /** Start of the last change by the processes, in milliseconds since 1970. */
  readonly latestMs: number;
  /** Time of this observation: changes that began later are not known. */
  readonly lookedMs: number;
  /**
   * Other processes that change the repository now, according to marks: none, this process, another
   * one, or perhaps one whose state is unknown.
   */
  readonly others: 'none' | 'own' | 'running' | 'unknown';
}

/**
 * Age of a mark above which a process whose state is unknown counts as dead: Gitaly's age for
 * quarantines, because no change takes three days.
 */
export const UNKNOWN_DEAD_MS = STALE_QUARANTINE_MS;

/**
 * Finds the repositories that processes were changing when they died, by the marks that every
 * change makes for the caches (cache-generations.ts). The marks are a fraction of the repositories,
 * so that these need not be searched. A process of another machine, container or boot counts as
 * dead when it made no mark for {@link UNKNOWN_DEAD_MS}.
 */
async function* deadChanges(
  storage: Storage,
  { nowMs = Date.now, signal }: DeadChangesOptions = {},
): AsyncGenerator<DeadChanges> {
  const root = stateRoot(storage);
  /** Relative paths of directories that are still to be checked. */
  const waiting = [''];
  for (let relativePath = waiting.pop(); relativePath !== undefined; relativePath = waiting.pop()) {
    signal?.throwIfAborted();
    for (const entry of await entriesOf(`${root}/${relativePath}`)) {
      if (!entry.isDirectory()) continue;
      waiting.push(join(relativePath, entry.name)); // a namespace may be called like the marks
      if (entry.name !== PENDING) continue;
      const changes = await changesIn(storage, relativePath, nowMs);
      if (changes.marks.length > 0) yield changes;
    }
  }
}

async function changesIn(storage: Storage, relativePath: string, nowMs: () => number): Promise<DeadChanges> {
  const directory = `${join(stateRoot(storage), relativePath)}/${PENDING}`;
  const lookedMs = nowMs();
  const found = (await entriesOf(directory)).flatMap((entry) =>
    entry.isFile() ? (markAt(`${directory}/${entry.name}`, lookedMs) ?? []) : [],
  );
  const owners = Map.groupBy(found, ({ owner }) => owner);
  const others = (['unknown', 'running', 'own'] as const).find((owner) => owners.has(owner)) ?? 'none';
  const dead = owners.get('dead') ?? [];
  const latestMs = dead.reduce((latest, { timeMs }) => Math.max(latest, timeMs), 0);
  return { storage, relativePath, marks: dead.map(({ path }) => path), latestMs, lookedMs, others };
}

interface Mark {
  readonly path: string;
  readonly timeMs: number;
  readonly owner: 'own' | 'running' | 'dead' | 'unknown';
}

/** Reads a mark; `undefined` if its change has ended. */
function markAt(path: string, nowMs: number): Mark | undefined {
  const timeMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  if (timeMs === undefined) return undefined;
  const owner = path.endsWith(ownerSuffix()) ? 'own' : ownerOf(path);
  const isOver = owner === 'unknown' && nowMs - timeMs > UNKNOWN_DEAD_MS;
  return { path, timeMs, owner: isOver ? 'dead' : owner };
}

async function entriesOf(directory: string) {
  return (await readdir(directory, { withFileTypes: true }).catch(ignoreMissing)) ?? [];
}

function join(directory: string, name: string): string {
  return directory === '' ? name : `${directory}/${name}`;
}
