import { type BigIntStats, statSync } from 'node:fs';
import type { GitRepository } from './repository.ts';

/**
 * What must stay the same for a repository to be the one that was looked at before: the directory itself (it may have been removed and
 * made anew at the same place, where a file system likes to give the same inode number again) and the list of alternates, which git reads once.
 */
export function stampOf({ path, objectDirectory }: GitRepository): string {
  const directory = statSync(path, { bigint: true, throwIfNoEntry: false });
  return `${directory?.ino}:${directory?.birthtimeNs}:${fileStamp(`${objectDirectory}/info/alternates`)}`;
}

/** Changes whenever a file does; empty when there is none. */
export function fileStamp(path: string): string {
  const file: BigIntStats | undefined = statSync(path, { bigint: true, throwIfNoEntry: false });
  return file === undefined ? '' : `${file.ino}:${file.size}:${file.mtimeNs}:${file.ctimeNs}`;
}
