import { readdir } from 'node:fs/promises';
import { systemErrorCode } from '#base/go/system-error';
import type { Storage } from '../repository-target.ts';
import { eventsRoot } from '../storage-layout.ts';
import type { Storages } from '../storages.ts';
import { removeTree } from '../temp-directories.ts';
import { walkRepositories } from '../walk-repositories.ts';

/**
 * Removes everything in a storage, including the server's own files except its change feed, without
 * locks. A missing storage directory counts as empty.
 */
export async function removeAll(storages: Storages, storage: Storage): Promise<void> {
  const repositories = await Array.fromAsync(walkRepositories(storage));
  const isRecorded = storages.lifecycleRecorder !== undefined;
  for (const path of await pathsIn(storage.path))
    await removeExcept(path, isRecorded ? eventsRoot(storage) : '');
  storages.repositoryCounts.clear(storage);
  for (const { path, relativePath } of repositories) {
    const location = { storage, path, relativePath };
    await storages.recordWhile({ kind: 'removed', location }, async () => {});
    storages.noteMove({ path });
    storages.caches.forget(storages.repositoryAt(location));
  }
}

/** Removes a file or directory, except for one path. */
async function removeExcept(path: string, kept: string): Promise<void> {
  if (path === kept) return;
  if (!kept.startsWith(`${path}/`)) return await removeTree(path);
  for (const each of await pathsIn(path)) await removeExcept(each, kept);
}

async function pathsIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).map((name) => `${directory}/${name}`);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  }
}
