import { stat } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import type { RepositoryTarget } from '../repository-target.ts';
import type { Storages } from '../storages.ts';

/**
 * Files and directories of which every push changes one: that of objects while it has a quarantine,
 * and those of references. Maintenance changes them as well.
 */
const WRITTEN = [
  'objects',
  'refs/heads',
  'refs/tags',
  'packed-refs',
  'HEAD',
  'reftable/tables.list',
] as const;

/**
 * Returns the time of the last change of a repository's references or objects: Unix time in
 * milliseconds, 0 if there is no repository at the path.
 *
 * @throws {Error} when the file system does.
 */
export async function lastWriteMs(repositoryPath: string): Promise<number> {
  const stats = await Promise.all(
    WRITTEN.map((name) => stat(`${repositoryPath}/${name}`).catch(ignoreMissing)),
  );
  return stats.reduce((latest, each) => Math.max(latest, Math.floor(each?.mtimeMs ?? 0)), 0);
}

/** Returns {@link lastWriteMs} of repositories of a storage; 0 also for paths that lead out of it. */
export async function lastWrites(
  storages: Storages,
  storageName: string,
  relativePaths: readonly string[],
): Promise<number[]> {
  const times: number[] = [];
  for (const relativePath of relativePaths)
    times.push(await lastWriteAt(storages, { storageName, relativePath }));
  return times;
}

async function lastWriteAt(storages: Storages, target: RepositoryTarget): Promise<number> {
  let path: string;
  try {
    path = storages.locate(target).path;
  } catch {
    return 0; // no path of a repository
  }
  return await lastWriteMs(path);
}
