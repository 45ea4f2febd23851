import { opendirSync } from 'node:fs';
import { syncPath } from '#base/files/sync-path';

/**
 * Number of files flushed concurrently. More would only fill the disk's queue and the thread pool.
 */
const CONCURRENCY = 4;

/**
 * Flushes every file and directory of a tree to disk, so that it survives a power failure
 * completely after a rename.
 */
export async function syncTree(root: string): Promise<void> {
  const paths = pathsOf(Buffer.from(root));
  const flushAll = async (): Promise<void> => {
    for (const path of paths) await syncPath(path);
  };
  // The first failure stops the walk for all. The flushes that still run are waited for.
  const ends = await Promise.allSettled(Array.from({ length: CONCURRENCY }, flushAll));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}

/** Yields the files and directories of a tree. Links are only entries of their directory. */
function* pathsOf(directory: Buffer): Generator<Buffer> {
  // Names of references and hooks need not be UTF-8; Latin-1 keeps their bytes.
  const entries = opendirSync(directory, { encoding: 'latin1' });
  try {
    for (let entry = entries.readSync(); entry !== null; entry = entries.readSync()) {
      const path = Buffer.concat([directory, Buffer.from(`/${entry.name}`, 'latin1')]);
      if (entry.isDirectory()) yield* pathsOf(path);
      else if (entry.isFile()) yield path;
    }
  } finally {
    entries.closeSync();
  }
  yield directory;
}
