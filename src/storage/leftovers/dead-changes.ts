import { statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { ownerOf, ownerSuffix } from '#base/process-identity';
import { STALE_QUARANTINE_MS } from '../quarantine/stale-quarantines.ts';
import type { Storage } from '../repository-target.ts';
import { PENDING, stateRoot } from '../storage-layout.ts';

export interface DeadChangesOptions {
  /** Milliseconds since 1970, for tests. */
  readonly nowMs?: () => number;
  readonly signal?: AbortSignal | undefined;
}

/** Changes of one repository that ended with their process. */
export interface DeadChanges {
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
export async function* deadChanges(
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
