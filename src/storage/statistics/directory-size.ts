import { type Dirent, lstatSync, readdirSync, type Stats } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { LoopSlice } from '#base/async/loop-turns';
import { ignoreMissing } from '#base/files/ignore-missing';
import type { DirectoryMemory } from './directory-memory.ts';

/**
 * Size of a directory up to which it is listed on the main thread: some thousand entries on ext4. A
 * trip to another thread and back takes ten times as long as listing a directory of ordinary size.
 */
const MAX_DIRECTORY_BYTES = 64 * 1024;

/** The files directly in a directory, and its directories. */
export interface DirectorySum {
  readonly bytes: number;
  /** Absolute paths. */
  readonly directories: readonly string[];
}

/** A file found by a walk. */
export interface SizedFile {
  readonly name: string;
  readonly stats: Stats;
}

/**
 * Returns the sum of the sizes in bytes of all entries below a path except directories. Symbolic
 * links count with their own size. Entries that disappear meanwhile are ignored. A path to a file
 * has no entries.
 *
 * `skip` names entries directly in the directory that are ignored if they are plain files. With
 * `sums`, directories that have not changed since are not read again.
 */
export async function directorySizeBytes(
  root: string,
  { skip, sums }: { skip?: readonly string[]; sums?: DirectoryMemory<DirectorySum> } = {},
): Promise<bigint> {
  let total = 0n;
  const slice = new LoopSlice();
  const pending = [root];
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    const known = sums?.look(directory);
    const sum =
      typeof known === 'object'
        ? known
        : await sumOf(directory, slice, known, directory === root ? skip : undefined);
    pending.push(...sum.directories);
    // Numbers are exact up to 8 PiB, which no directory has, and are faster.
    total += BigInt(sum.bytes);
    if (slice.isOver) await slice.pause();
  }
  return total;
}

async function sumOf(
  directory: string,
  slice: LoopSlice,
  remember: ((sum: DirectorySum, entries: readonly Dirent[]) => void) | undefined,
  skip: readonly string[] | undefined,
): Promise<DirectorySum> {
  let bytes = 0;
  const directories: string[] = [];
  const entries = await entriesOf(directory);
  for (const entry of entries) {
    const path = `${directory}/${entry.name}`;
    if (entry.isDirectory()) directories.push(path);
    else if (skip?.includes(entry.name) !== true) bytes += statsAt(path)?.size ?? 0;
    if (slice.isOver) await slice.pause();
  }
  const sum = { bytes, directories };
  remember?.(sum, entries);
  return sum;
}

/**
 * Returns the entries of a directory, those of a large one without blocking the event loop; none if
 * it is missing or not a directory.
 */
export function entriesOf(directory: string): readonly Dirent[] | Promise<readonly Dirent[]> {
  try {
    const stats = lstatSync(directory, { throwIfNoEntry: false });
    if (stats === undefined || stats.size > MAX_DIRECTORY_BYTES) return entriesOfLarge(directory);
    return readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    return ignoreMissing(error) ?? [];
  }
}

async function entriesOfLarge(directory: string): Promise<readonly Dirent[]> {
  return (await readdir(directory, { withFileTypes: true }).catch(ignoreMissing)) ?? [];
}

function statsAt(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    return ignoreMissing(error);
  }
}

/** Stats files of a directory, and yields them in the given order. */
export async function* statAll(
  directory: string,
  names: readonly string[],
  slice = new LoopSlice(),
): AsyncGenerator<SizedFile> {
  for (const name of names) {
    const stats = statsAt(`${directory}/${name}`);
    if (stats !== undefined) yield { name, stats };
    if (slice.isOver) await slice.pause();
  }
}
