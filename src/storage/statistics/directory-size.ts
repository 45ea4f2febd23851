import type { Dirent, Stats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { systemErrorCode } from '#base/system-error';

/** Files looked at at once: enough to keep the thread pool busy. */
const CONCURRENCY = 16;

/** A file that a walk came across. */
export interface FoundFile {
  readonly name: string;
  readonly stats: Stats;
}

/**
 * Sum of the sizes of all entries below a path that are no directories, in bytes. Symbolic links count with their own size.
 * Entries that vanish meanwhile count nothing. A path that is a file has nothing below it.
 *
 * `skip` names entries directly in the directory that do not count when they are plain files.
 */
export async function directorySizeBytes(root: string, options: { skip?: readonly string[] } = {}): Promise<bigint> {
  let total = 0n;
  const pending = [root];
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    const entries = await entriesOf(directory);
    for (const entry of entries) if (entry.isDirectory()) pending.push(`${directory}/${entry.name}`);
    const names = entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name);
    const counted = directory === root ? names.filter((name) => options.skip?.includes(name) !== true) : names;
    for await (const { stats } of statAll(directory, counted)) total += BigInt(stats.size);
  }
  return total;
}

/** Looks at files of a directory, a few at once, in no particular order of completion but yielded in the given one. */
export async function* statAll(directory: string, names: readonly string[]): AsyncGenerator<FoundFile> {
  for (let at = 0; at < names.length; at += CONCURRENCY) {
    const batch = names.slice(at, at + CONCURRENCY);
    const stats = await Promise.all(batch.map((name) => lstat(`${directory}/${name}`).catch(ignoreVanished)));
    for (const [index, name] of batch.entries()) {
      const found = stats[index];
      if (found !== undefined) yield { name, stats: found };
    }
  }
}

/** Entries of a directory; none when it is missing or no directory. */
export async function entriesOf(directory: string): Promise<readonly Dirent[]> {
  return (await readdir(directory, { withFileTypes: true }).catch(ignoreVanished)) ?? [];
}

function ignoreVanished(error: unknown): undefined {
  const code = systemErrorCode(error);
  if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
  throw error;
}
