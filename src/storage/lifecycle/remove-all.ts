import { readdir } from 'node:fs/promises';
import { systemErrorCode } from '#base/go/system-error';
import type { Storage } from '../repository-target.ts';
import type { Storages } from '../storages.ts';
import { removeTree } from '../temp-directories.ts';
import { walkRepositories } from '../walk-repositories.ts';

/**
 * Removes everything in a storage, the server's own files among them, without locks. A missing
 * storage directory is an empty one.
 */
export async function removeAll(storages: Storages, storage: Storage): Promise<void> {
  const repositories = await Array.fromAsync(walkRepositories(storage));
  for (const name of await namesIn(storage.path)) await removeTree(`${storage.path}/${name}`);
  storages.repositoryCounts.clear(storage);
  for (const { path, relativePath } of repositories) {
    storages.noteMove({ path });
    storages.caches.forget(storages.repositoryAt({ storage, path, relativePath }));
  }
}

async function namesIn(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  }
}
