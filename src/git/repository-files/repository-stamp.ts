import { statSync } from 'node:fs';
import { fileStamp } from '#base/files/file-stamp';
import type { GitDirectory } from './git-directory.ts';

/**
 * Returns a text that changes when another repository is at the path: the directory itself (it may
 * have been removed and created again, and file systems often reuse the inode number) and the list
 * of alternates, which git reads once.
 */
export function stampOfRepository({ path, objectDirectory }: GitDirectory): string {
  const directory = statSync(path, { bigint: true, throwIfNoEntry: false });
  return `${directory?.ino}:${directory?.birthtimeNs}:${fileStamp(`${objectDirectory}/info/alternates`)}`;
}
