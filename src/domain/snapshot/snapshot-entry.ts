import type { Stats } from 'node:fs';

export interface SnapshotEntry {
  /** Path in the archive; the path of a directory ends with a slash. */
  readonly name: string;
  /** Absolute path of the file or directory. */
  readonly path: string;
  readonly type: 'file' | 'directory';
  /** Replaces the content of the file. */
  readonly filter?: (content: Buffer) => Buffer;
}

/**
 * Returns the permissions of an entry: whoever unpacks the archive may write, and restricts them.
 * @see Gitaly: internal/archive, TarBuilder.allowSymlinks and mode
 */
export function archiveMode(stats: Stats): number {
  const mode = stats.mode & 0o777;
  if (stats.isDirectory()) return mode | 0o777;
  return (mode & 0o111) === 0 ? mode | 0o666 : mode | 0o777;
}
