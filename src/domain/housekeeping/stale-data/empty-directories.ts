import { readdir, rmdir, stat } from 'node:fs/promises';
import { systemErrorCode } from '#base/go/system-error';

/**
 * Age since the last change at which an empty directory is removed: a reference may just be written
 * to a new one.
 */
const MIN_AGE_MS = 24 * 60 * 60 * 1000;

/**
 * Removes empty directories of references that were deleted, but not `refs` itself.
 *
 * @returns their number.
 */
export async function removeEmptyReferenceDirectories(
  repositoryPath: string,
  nowMs: number,
): Promise<number> {
  let removed = 0;
  for (const directory of await directoriesIn(`${repositoryPath}/refs`))
    removed += (await prune(directory)).removed;
  return removed;

  async function prune(directory: string): Promise<{ readonly removed: number }> {
    // Before its children are removed, which changes it.
    const stats = await stat(directory).catch(ifGone);
    if (stats === undefined) return { removed: 0 };
    let inside = 0;
    for (const child of await directoriesIn(directory)) inside += (await prune(child)).removed;
    if (nowMs - stats.mtimeMs < MIN_AGE_MS) return { removed: inside };
    const isRemoved = await rmdir(directory).then(() => true, ifInUse);
    return { removed: inside + (isRemoved ? 1 : 0) };
  }
}

async function directoriesIn(directory: string): Promise<string[]> {
  const entries = (await readdir(directory, { withFileTypes: true }).catch(ifGone)) ?? [];
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => `${directory}/${name}`);
}

function ifGone(error: unknown): undefined {
  if (systemErrorCode(error) === 'ENOENT') return undefined;
  throw error;
}

function ifInUse(error: unknown): false {
  if (['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(systemErrorCode(error) ?? '')) return false;
  throw error;
}
