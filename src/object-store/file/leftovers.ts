import { opendir, rm, stat } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { TEMPORARY_PREFIX } from '../object-key.ts';
import type { Leftovers, LeftoversOptions } from '../object-store.ts';
import { LOCK_PREFIX } from './lock-object.ts';

/** Removes the temporary files of a directory that processes left when they were killed. */
export async function removeFileLeftovers(directory: string, options: LeftoversOptions): Promise<Leftovers> {
  const { beforeMs, isDryRun, signal } = options;
  let [objects, bytes] = [0, 0];
  for await (const entry of (await opendir(directory).catch(ignoreMissing)) ?? []) {
    signal.throwIfAborted();
    const path = `${directory}/${entry.name}`;
    if (entry.isDirectory()) {
      const below = await removeFileLeftovers(path, options);
      objects += below.objects;
      bytes += below.bytes;
    }
    const isLeft = entry.name.startsWith(TEMPORARY_PREFIX) && !entry.name.startsWith(LOCK_PREFIX);
    if (!entry.isFile() || !isLeft) continue;
    const stats = await stat(path).catch(ignoreMissing);
    if (stats === undefined || stats.mtimeMs > beforeMs) continue;
    if (!isDryRun) await rm(path, { force: true });
    objects++;
    bytes += stats.size;
  }
  return { objects, bytes };
}
