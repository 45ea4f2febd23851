import { type Stats, statSync } from 'node:fs';

/**
 * A text that changes whenever a file is written or replaced, or its attributes change. It consists
 * of device, inode, size and both times. Equal stamps mean an unchanged file, with one exception,
 * see {@link isSettled}.
 */
export type FileStamp = string & { readonly __stamp: 'file' };

/** The stamp of a file that does not exist. */
export const NO_FILE = '' as FileStamp; // only this file makes stamps

/**
 * Minimum age of the last change before a stamp is trusted. File systems take times from a coarse
 * clock (Linux: up to 10 ms, some network file systems 1 s), so two changes within one tick have
 * the same time.
 */
const SETTLED_MS = 2_000;

/**
 * Returns the stamp of a file. The times are exact to 0.25 µs.
 *
 * Take the stats before reading the file: a change in between then gives a stamp that never
 * matches, and the file is read again.
 */
export function stampOf({ dev, ino, size, mtimeMs, ctimeMs }: Stats): FileStamp {
  // Caches keep thousands of stamps. Both times are mostly equal.
  const changed = ctimeMs === mtimeMs ? '' : ctimeMs;
  return `${dev}:${ino}:${size}:${mtimeMs}:${changed}` as FileStamp; // only this function makes stamps
}

/**
 * Returns the stamp of the file at a path. Follows symbolic links.
 *
 * @throws the system's error, except for a missing file ({@link NO_FILE}).
 */
export function fileStamp(path: string): FileStamp {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats === undefined ? NO_FILE : stampOf(stats);
}

/**
 * Reports whether a file's last change is old enough that the next change gives another stamp.
 * Until then, content read from the file must not be cached. It compares the change time, which
 * programs cannot set.
 *
 * Files that are only replaced, as git replaces its own, do not need this rule: the new file has
 * another inode.
 */
export function isSettled({ ctimeMs }: Pick<Stats, 'ctimeMs'>, nowMs: number): boolean {
  return nowMs - ctimeMs >= SETTLED_MS;
}
