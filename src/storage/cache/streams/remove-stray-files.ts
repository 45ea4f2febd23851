import { readdir, rmdir, stat, unlink } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { ownerOf } from '#base/process-identity';

export interface RemoveStrayFilesOptions {
  readonly maxAgeMs: number;
  readonly onRemoved: () => void;
}

/** Readers on another machine or container may still use files for their whole lifetime. */
const FOREIGN_AGE_FACTOR = 2;
const MIN_FOREIGN_AGE_MS = 60 * 60 * 1000;

/**
 * Removes the files of a stream cache that dead processes left: no process uses the files of
 * another. Where the owner is not known, old files are removed. A directory that is missing is
 * empty.
 */
export async function removeStrayFiles(directory: string, options: RemoveStrayFilesOptions): Promise<void> {
  const { maxAgeMs, onRemoved } = options;
  const oldestMs = Date.now() - Math.max(FOREIGN_AGE_FACTOR * maxAgeMs, MIN_FOREIGN_AGE_MS);
  for (const name of (await readdir(directory).catch(ignoreMissing)) ?? []) {
    if (!/^[0-9a-f]{2}$/.test(name)) continue;
    const path = `${directory}/${name}`;
    for (const file of (await readdir(path).catch(ignoreMissing)) ?? []) {
      const owner = ownerOf(file);
      if (owner === 'running') continue;
      const stats = owner === 'dead' ? undefined : await stat(`${path}/${file}`).catch(ignoreMissing);
      if (owner !== 'dead' && (stats === undefined || stats.mtimeMs >= oldestMs)) continue;
      await unlink(`${path}/${file}`).catch(ignoreMissing);
      onRemoved();
    }
    // A directory with files is kept.
    await rmdir(path).catch(() => {});
  }
}
