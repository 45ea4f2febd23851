import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemErrorCode } from './system-error.ts';

/**
 * Makes a directory, and those above it that are missing; one that is there is left as it is. Unlike Node's own `recursive`, which
 * tries for ever in file systems that take no directories (`/proc`), it ends.
 *
 * @param mode of the directories that are made, less the umask. Default 0777.
 * @throws the system's error: EACCES, ENOTDIR, EEXIST for something else in its place, …
 */
export async function makeDirectory(path: string, { mode }: { mode?: number } = {}): Promise<void> {
  const parent = dirname(path);
  if (parent !== path && (await isMissing(parent))) await makeDirectory(parent, { ...(mode !== undefined && { mode }) });
  try {
    await mkdir(path, mode);
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST' || !(await stat(path)).isDirectory()) throw error;
  }
}

async function isMissing(path: string): Promise<boolean> {
  try {
    await stat(path);
    return false;
  } catch (error) {
    return systemErrorCode(error) === 'ENOENT';
  }
}
