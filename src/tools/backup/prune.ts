import { messageOf } from '#base/gitaly-error';
import { readManifest } from '#domain/backup/manifests';
import { objectKey } from '#object-store/object-key';
import { type ObjectCall, type ObjectStore, PAGE_OBJECTS } from '#object-store/object-store';
import { StoreError } from '#object-store/store-error';
import { markerKey, type StoredBackup, storedBackups } from './catalog.ts';

/**
 * Removes the backups of runs that are not kept, except the newest one of each repository; the
 * files that no other backup needs; and the marks of runs whose backups are all removed. A manifest
 * is removed before its files, so that there is never a backup without its files. Increments may be
 * stored meanwhile.
 *
 * @param options.isDryRun counts only.
 * @returns the number of removed backups of repositories.
 * @throws {Error} at the end, for repositories with a manifest that cannot be read, whose backups
 *   are not removed.
 */
export async function pruneBackupRuns(
  store: ObjectStore,
  kept: ReadonlySet<string>,
  { isDryRun, signal }: ObjectCall & { readonly isDryRun: boolean },
): Promise<number> {
  let count = 0;
  const ids = { removed: new Set<string>(), kept: new Set<string>() };
  const left: string[] = [];
  let last: string | undefined;
  for await (const page of storedBackups(store, { signal }))
    for (const backup of page) {
      if (folderOf(backup) === last) continue;
      last = folderOf(backup);
      const backups = await siblings(store, backup, { signal });
      const plan = await planFor(store, backups, kept, { signal }).catch((error: unknown): Plan => {
        if (error instanceof StoreError || signal.aborted) throw error;
        left.push(messageOf(error));
        return { kept: backups, removed: [], files: [] };
      });
      count += plan.removed.length;
      for (const { id } of plan.removed) ids.removed.add(id);
      for (const { id } of plan.kept) ids.kept.add(id);
      if (isDryRun) continue;
      const manifests = plan.removed.map(({ manifestKey }) => manifestKey);
      await remove(store, manifests, { signal });
      await remove(store, await stillUnneeded(store, backup, plan, { signal }), { signal });
    }
  if (!isDryRun) await remove(store, [...ids.removed.difference(ids.kept)].map(markerKey), { signal });
  if (left.length > 0) throw leftError(left);
  return count;
}

/** Names all repositories that could not be pruned, on a line each. */
function leftError(problems: readonly string[]): Error {
  const one = '1 repository was left as it is';
  const all = problems.length === 1 ? one : `${problems.length} repositories were left as they are`;
  return new Error(`${all}: ${problems.join('\n')}`);
}

interface Plan {
  readonly kept: readonly StoredBackup[];
  readonly removed: readonly StoredBackup[];
  /** Keys of the files that only these need. */
  readonly files: readonly string[];
}

/** @param backups all of one repository. */
async function planFor(
  store: ObjectStore,
  backups: readonly StoredBackup[],
  kept: ReadonlySet<string>,
  options: ObjectCall,
): Promise<Plan> {
  const newestMs = Math.max(...backups.map(({ modifiedMs }) => modifiedMs));
  const isKept = ({ id, modifiedMs }: StoredBackup): boolean => kept.has(id) || modifiedMs === newestMs;
  const stays = backups.filter(isKept);
  const removed = backups.filter((backup) => !isKept(backup));
  if (removed.length === 0) return { kept: stays, removed, files: [] };
  const needed = new Set<string>();
  const unneeded = new Set<string>();
  for (const backup of [...stays, ...removed])
    for (const key of await filesOf(store, backup.manifestKey, options))
      if (isKept(backup)) needed.add(key);
      else if (!needed.has(key)) unneeded.add(key);
  return { kept: stays, removed, files: [...unneeded] };
}

/**
 * Returns the files of a plan that no backup needs which was stored since: an increment that finds
 * the manifest of its base after its own was stored relies on this.
 */
async function stillUnneeded(
  store: ObjectStore,
  backup: StoredBackup,
  { files, kept }: Plan,
  options: ObjectCall,
): Promise<string[]> {
  if (files.length === 0) return [];
  const known = new Set(kept.map(({ manifestKey, modifiedMs }) => `${manifestKey} ${modifiedMs}`));
  const unneeded = new Set(files);
  for (const { manifestKey, modifiedMs } of await siblings(store, backup, options))
    if (!known.has(`${manifestKey} ${modifiedMs}`))
      for (const key of await filesOf(store, manifestKey, options)) unneeded.delete(key);
  return [...unneeded];
}

/** Returns all backups of the repository of one: others may be between them in the order of keys. */
async function siblings(
  store: ObjectStore,
  backup: StoredBackup,
  options: ObjectCall,
): Promise<StoredBackup[]> {
  const found = await Array.fromAsync(storedBackups(store, options, folderOf(backup)));
  return found.flat().filter((each) => folderOf(each) === folderOf(backup));
}

/** Returns the prefix of the keys of a repository's manifests. */
function folderOf({ manifestKey }: StoredBackup): string {
  return manifestKey.slice(0, manifestKey.lastIndexOf('/') + 1);
}

/** Returns the keys of the files to which a manifest refers. */
async function filesOf(store: ObjectStore, manifestKey: string, options: ObjectCall): Promise<string[]> {
  const { steps } = await readManifest(store, manifestKey, options).catch((error: unknown) => {
    throw error instanceof StoreError ? error : new Error(`${manifestKey}: ${messageOf(error)}`);
  });
  return steps.flatMap(({ bundlePath, refPath, customHooksPath }) =>
    [bundlePath, refPath, customHooksPath].map((key) => objectKey(key)),
  );
}

async function remove(store: ObjectStore, keys: readonly string[], options: ObjectCall): Promise<void> {
  for (let at = 0; at < keys.length; at += PAGE_OBJECTS)
    await store.delete(keys.slice(at, at + PAGE_OBJECTS), options);
}
