import { createHash, randomUUID } from 'node:crypto';
import { copyFile, link, mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { syncPath } from '#base/files/sync-path';
import { systemErrorCode } from '#base/go/system-error';
import { DIRECTORY_MODE } from '#storage/storage-layout';

/**
 * Forks share these files, and git replaces a file instead of changing it. The mode warns a person
 * with an editor, which may change it.
 */
const FILE_MODE = 0o444;
const NAME_DIGITS = 16;

/**
 * Writes a small file as a hard link of one in a directory, which gets it if need be. It takes no
 * space but its entry.
 *
 * @param directory for few different contents.
 */
export async function writeShared(
  directory: string,
  path: string,
  content: string | Uint8Array,
): Promise<void> {
  const shared = `${directory}/${createHash('sha256').update(content).digest('hex').slice(0, NAME_DIGITS)}`;
  if (await linkWhole(shared, path, Buffer.byteLength(content))) return;
  await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE });
  await writeFile(path, content, { mode: FILE_MODE });
  await replaceByLink(path, shared);
}

/**
 * Makes a hard link of a file, or a copy where there can be none.
 *
 * @returns false if there is no such file, or one of another size: a power failure has emptied it.
 */
export async function linkWhole(from: string, to: string, bytes: number): Promise<boolean> {
  return (await isWhole(from, bytes)) && (await linkOrCopy(from, to));
}

/** Reports whether there is a file of a size. */
export async function isWhole(path: string, bytes: number): Promise<boolean> {
  return (await stat(path).catch(ignoreMissing))?.size === bytes;
}

/** @returns false if there is no such file. */
async function linkOrCopy(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'ENOENT') return false;
    if (code !== 'EMLINK' && code !== 'EPERM' && code !== 'EXDEV') throw error;
    await copyFile(from, to);
  }
  return true;
}

/**
 * Puts a hard link in place of a file, at once. The content is on disk before: otherwise, others
 * would link an empty file after a power failure.
 *
 * @param to also begins the name of a draft.
 */
export async function replaceByLink(from: string, to: string): Promise<void> {
  // Forks that are made at the same time, also by other processes, replace the same file.
  const draft = `${to}.${randomUUID()}.new`;
  try {
    if (!(await linkOrCopy(from, draft))) return;
    await syncPath(draft);
    await rename(draft, to);
  } finally {
    // Renaming a link to another one of the same file leaves both.
    await rm(draft, { force: true });
  }
}
