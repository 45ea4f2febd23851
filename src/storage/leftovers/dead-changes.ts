import { statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { ownerOf, ownerSuffix } from '../locks/process-identity.ts';
import type { Storage } from '../repository-target.ts';
import { stateRoot } from '../storage-layout.ts';

/** Changes of one repository that ended with their process. */
export interface DeadChanges {
  readonly storage: Storage;
  readonly relativePath: string;
  /** Absolute paths of their marks. */
  readonly marks: readonly string[];
  /** Start of the last change by the processes, in milliseconds since 1970. */
  readonly latestMs: number;
  /** Time of this observation: no change is known that began later. */
  readonly lookedMs: number;
  /**
   * Other processes that change the repository now, according to marks: none, this process, another
   * one, or perhaps one whose state is unknown.
   */
  readonly others: 'none' | 'own' | 'running' | 'unknown';
}

const PENDING = 'pending';

/**
 * Finds the repositories that processes were changing when they died, by the marks that every
 * change makes for the caches (cache-generations.ts). The marks are a fraction of the repositories,
 * so that nobody has to go through these.
 */
export async function* deadChanges(storage: Storage, signal?: AbortSignal): AsyncGenerator<DeadChanges> {
  const root = stateRoot(storage);
  /** Relative paths of directories that are still to be looked at. */
  const waiting = [''];
  for (let relativePath = waiting.pop(); relativePath !== undefined; relativePath = waiting.pop()) {
    signal?.throwIfAborted();
    for (const entry of await entriesOf(`${root}/${relativePath}`)) {
      if (!entry.isDirectory()) continue;
      if (entry.name !== PENDING) waiting.push(join(relativePath, entry.name));
      else {
        const changes = await changesIn(storage, relativePath);
        if (changes.marks.length > 0) yield changes;
      }
    }
  }
}

async function changesIn(storage: Storage, relativePath: string): Promise<DeadChanges> {
  const directory = `${join(stateRoot(storage), relativePath)}/${PENDING}`;
  const lookedMs = Date.now();
  const names = (await entriesOf(directory)).map(({ name }) => name);
  const owners = Map.groupBy(names, (name) => (name.endsWith(ownerSuffix()) ? 'own' : ownerOf(name)));
  const others = (['unknown', 'running', 'own'] as const).find((owner) => owners.has(owner)) ?? 'none';
  const marks = (owners.get('dead') ?? []).map((name) => `${directory}/${name}`);
  const times = marks.map((mark) => statSync(mark, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  return { storage, relativePath, marks, latestMs: Math.max(0, ...times), lookedMs, others };
}

async function entriesOf(directory: string) {
  return (await readdir(directory, { withFileTypes: true }).catch(ignoreMissing)) ?? [];
}

function join(directory: string, name: string): string {
  return directory === '' ? name : `${directory}/${name}`;
}
