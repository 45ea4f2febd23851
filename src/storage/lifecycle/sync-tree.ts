import { open, opendir } from 'node:fs/promises';

/**
 * Number of files flushed concurrently. More would only fill the disk's queue and the thread pool.
 */
const CONCURRENCY = 4;

/**
 * Flushes every file and directory of a tree to disk, so that it survives a power failure
 * completely after a rename.
 */
export async function syncTree(root: string): Promise<void> {
  const pending: string[] = [root];
  for (let batch = pending.splice(0, CONCURRENCY); batch.length > 0; batch = pending.splice(0, CONCURRENCY)) {
    const found = await Promise.all(batch.map(syncDirectoryAndFiles));
    pending.push(...found.flat());
  }
}

/** Flushes one file or the entries of one directory to disk. */
export async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Flushes a directory and its files. @returns its directories. Symbolic links are only entries of
 * their directory.
 */
async function syncDirectoryAndFiles(directory: string): Promise<readonly string[]> {
  const directories: string[] = [];
  for await (const entry of await opendir(directory)) {
    if (entry.isDirectory()) directories.push(`${directory}/${entry.name}`);
    else if (entry.isFile()) await syncPath(`${directory}/${entry.name}`);
  }
  await syncPath(directory);
  return directories;
}
