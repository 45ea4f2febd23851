import { objectKey } from '#object-store/object-key';
import type { ListObjectsOptions, ObjectFacts, ObjectStore } from '#object-store/object-store';

/** The backup of one repository, as its manifest is stored. */
export interface StoredBackup {
  readonly storageName: string;
  readonly relativePath: string;
  readonly id: string;
  readonly manifestKey: string;
  readonly modifiedMs: number;
}

/** The backups of repositories that were made under one name. */
export interface StoredRun {
  readonly id: string;
  /** Time of the newest, in milliseconds since 1970. */
  readonly modifiedMs: number;
  readonly repositories: number;
  /** False if the program was stopped before it had finished. */
  readonly isEnded: boolean;
  /** True if other repositories failed. Backups of Gitaly's programs do not have this. */
  readonly isPartial: boolean;
}

/** Begins the keys of all manifests. */
export const MANIFESTS = 'manifests/';
const MARKERS = 'backup_ids/';
/** Storage, path and id of a manifest's key; not the copy of the latest. */
const MANIFEST = /^manifests\/(?<storageName>[^/]+)\/(?<relativePath>.+)\/(?<id>[^/+][^/]*)\.toml$/;

/**
 * Yields the backups of repositories in a store, in pages, in the order of their keys.
 *
 * @param prefix of the keys of their manifests; default all.
 */
export async function* storedBackups(
  store: ObjectStore,
  options: ListObjectsOptions,
  prefix = MANIFESTS,
): AsyncGenerator<StoredBackup[], void, undefined> {
  for await (const page of store.list(prefix, options))
    yield page.flatMap((object) => backupOf(object) ?? []);
}

/** Returns the runs in a store, the oldest first. */
export async function listRuns(store: ObjectStore, options: ListObjectsOptions): Promise<StoredRun[]> {
  const markedBytes = new Map<string, number>();
  for await (const page of store.list(MARKERS, options))
    for (const { key, sizeBytes } of page) markedBytes.set(key.slice(MARKERS.length), sizeBytes);
  const runs = new Map<string, { modifiedMs: number; repositories: number }>();
  for await (const page of storedBackups(store, options))
    for (const { id, modifiedMs } of page) {
      const run = runs.get(id) ?? { modifiedMs: 0, repositories: 0 };
      runs.set(id, { modifiedMs: Math.max(run.modifiedMs, modifiedMs), repositories: run.repositories + 1 });
    }
  const marksOf = (id: string) => ({
    isEnded: markedBytes.has(id),
    isPartial: (markedBytes.get(id) ?? 0) > 0,
  });
  return Array.from(runs, ([id, run]) => ({ id, ...run, ...marksOf(id) })).sort(byTime);
}

export function markerKey(id: string): string {
  return objectKey(MARKERS, id);
}

function byTime(a: StoredRun, b: StoredRun): number {
  return a.modifiedMs - b.modifiedMs || (a.id < b.id ? -1 : 1);
}

function backupOf({ key, modifiedMs }: ObjectFacts): StoredBackup | undefined {
  const { storageName, relativePath, id } = MANIFEST.exec(key)?.groups ?? {};
  if (storageName === undefined || relativePath === undefined || id === undefined) return undefined;
  return { storageName, relativePath, id, manifestKey: key, modifiedMs };
}
