import { mkdirSync } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemErrorCode } from '../go/system-error.ts';

/**
 * Creates a directory and its missing parents; an existing directory is left unchanged. Unlike
 * Node's `recursive` option, which retries forever in file systems that cannot hold directories
 * (`/proc`), it ends.
 *
 * @param mode mode of created directories, less the umask. Default 0777.
 * @throws the system's error: EACCES, ENOTDIR, EEXIST for a file in its place, …
 */
export async function makeDirectory(path: string, { mode }: { mode?: number } = {}): Promise<void> {
  const parent = dirname(path);
  if (parent !== path && (await isMissing(parent)))
    await makeDirectory(parent, { ...(mode !== undefined && { mode }) });
  await makeOneDirectory(path, { ...(mode !== undefined && { mode }) });
}

async function isMissing(path: string): Promise<boolean> {
  try {
    await stat(path);
    return false;
  } catch (error) {
    return systemErrorCode(error) === 'ENOENT';
  }
}

/**
 * Creates a directory whose parent must exist; an existing directory is left unchanged. For parts
 * of a repository, which may be removed at any time: its path must not appear again.
 *
 * @throws the system's error: ENOENT without a parent, EEXIST for a file in its place, …
 */
export async function makeOneDirectory(path: string, { mode }: { mode?: number } = {}): Promise<void> {
  try {
    await mkdir(path, mode);
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST' || !(await stat(path)).isDirectory()) throw error;
  }
}

/** Creates a directory whose parent exists; leaves anything that is in its place unchanged. */
export function makeDirectorySync(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw error;
  }
}
