import { randomInt } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { chmod, lstat, readdir, rm } from 'node:fs/promises';
import { systemErrorCode } from '#base/system-error';
import { makeDirectories } from './make-directories.ts';
import type { Storage } from './repository-target.ts';
import { DIRECTORY_MODE, tempRoot } from './storage-layout.ts';

/** Anything older was left by a process that is gone: no call runs for a week. */
export const TEMP_DIRECTORY_MAX_AGE_MS = 7 * 24 * 60 * 60 * 1000;

const MAX_NAME_ATTEMPTS = 100;

/** A scratch directory. Disposing removes it with all its content; a directory that was moved away is no error. */
export interface TempDirectory extends AsyncDisposable {
  /** Absolute, on the same file system as the storage's repositories. */
  readonly path: string;
}

/** Makes a directory `<prefix><random digits>` below the storage's temporary root, for its owner only. */
export async function createTempDirectory(storage: Storage, prefix: string): Promise<TempDirectory> {
  const root = tempRoot(storage);
  for (let attempt = 1; ; attempt++) {
    const path = `${root}/${prefix}${randomInt(2 ** 47)}`;
    try {
      mkdirSync(path, { mode: DIRECTORY_MODE });
      return { path, [Symbol.asyncDispose]: () => removeTree(path) };
    } catch (error) {
      const code = systemErrorCode(error);
      if (attempt === MAX_NAME_ATTEMPTS || (code !== 'EEXIST' && code !== 'ENOENT')) throw error;
      if (code === 'ENOENT') await makeDirectories(storage, root);
    }
  }
}

export interface CleanOptions {
  readonly maxAgeMs?: number;
  /** Milliseconds since 1970, for tests. */
  readonly nowMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Removes entries of the temporary root that were not changed for `maxAgeMs`, for instance after a crash.
 *
 * @returns names of the removed entries. A storage without temporary root has none.
 */
export async function cleanTempDirectories(storage: Storage, options: CleanOptions = {}): Promise<readonly string[]> {
  const root = tempRoot(storage);
  const oldestMs = (options.nowMs ?? Date.now()) - (options.maxAgeMs ?? TEMP_DIRECTORY_MAX_AGE_MS);
  const removed: string[] = [];
  for (const name of await namesIn(root)) {
    options.signal?.throwIfAborted();
    const path = `${root}/${name}`;
    const stats = await lstat(path).catch(ignoreMissing);
    if (stats === undefined || stats.mtimeMs >= oldestMs) continue;
    await removeTree(path);
    removed.push(name);
  }
  return removed;
}

/** Removes a tree, also one whose directories forbid it by their mode. */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    const code = systemErrorCode(error);
    if (code !== 'EACCES' && code !== 'EPERM') throw error;
    await openPermissions(path);
    await rm(path, { recursive: true, force: true });
  }
}

async function openPermissions(directory: string): Promise<void> {
  const stats = await lstat(directory).catch(ignoreMissing);
  if (stats?.isDirectory() !== true) return;
  await chmod(directory, DIRECTORY_MODE);
  for (const name of await namesIn(directory)) await openPermissions(`${directory}/${name}`);
}

async function namesIn(directory: string): Promise<readonly string[]> {
  return (await readdir(directory).catch(ignoreMissing)) ?? [];
}

function ignoreMissing(error: unknown): undefined {
  if (systemErrorCode(error) === 'ENOENT') return undefined;
  throw error;
}
