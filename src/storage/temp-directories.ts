import { randomInt } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { chmod, lstat, readlink, rm } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { entryNamesIn } from '#base/files/typed-entries';
import { systemErrorCode } from '#base/go/system-error';
import { isRunning, ownerOf, ownerSuffix, parseIdentity } from '#base/process-identity';
import { makeDirectories } from './lifecycle/make-directories.ts';
import type { Storage } from './repository-target.ts';
import { DIRECTORY_MODE, tempRoot } from './storage-layout.ts';

/** Age above which a directory was left by a dead process: no call runs for a week. */
export const TEMP_DIRECTORY_MAX_AGE_MS = 7 * 24 * 60 * 60 * 1000;

const MAX_NAME_ATTEMPTS = 100;

/**
 * A temporary directory. Disposing removes it with all its content; one that was moved is not an
 * error.
 */
export interface TempDirectory extends AsyncDisposable {
  /** Absolute, on the same file system as the storage's repositories. */
  readonly path: string;
}

/**
 * Makes a directory `<prefix><random digits><owner>` below the storage's temporary root, for its
 * owner only.
 */
export async function createTempDirectory(storage: Storage, prefix: string): Promise<TempDirectory> {
  const root = tempRoot(storage);
  for (let attempt = 1; ; attempt++) {
    const path = `${root}/${prefix}${randomInt(2 ** 47)}${ownerSuffix()}`;
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
  /** Names of entries that are needed. */
  readonly keep?: ReadonlySet<string>;
  /** Milliseconds since 1970, for tests. */
  readonly nowMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Removes entries of the temporary root whose process is dead, and those that were not changed for
 * {@link TEMP_DIRECTORY_MAX_AGE_MS} where that is not known.
 *
 * @returns names of the removed entries. A storage without temporary root has none.
 * @throws the first failure, when all others are removed.
 */
export async function cleanTempDirectories(
  storage: Storage,
  options: CleanOptions = {},
): Promise<readonly string[]> {
  const root = tempRoot(storage);
  const oldestMs = (options.nowMs ?? Date.now()) - TEMP_DIRECTORY_MAX_AGE_MS;
  const removed: string[] = [];
  const failures: unknown[] = [];
  for (const name of await entryNamesIn(root)) {
    options.signal?.throwIfAborted();
    if (options.keep?.has(name) === true) continue;
    const path = `${root}/${name}`;
    try {
      const stats = await lstat(path).catch(ignoreMissing);
      if (stats === undefined || (stats.mtimeMs >= oldestMs && !(await isOfTheDead(path)))) continue;
      await removeTree(path);
      removed.push(name);
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
  return removed;
}

/** Lists the entries of the temporary root whose process is dead. */
export async function tempEntriesOfTheDead(storage: Storage): Promise<string[]> {
  const paths = (await entryNamesIn(tempRoot(storage))).map((name) => `${tempRoot(storage)}/${name}`);
  const dead: string[] = [];
  for (const path of paths) if (await isOfTheDead(path)) dead.push(path);
  return dead;
}

/**
 * Reports whether the owner of an entry is dead. The claim on a lock is a link to its owner; all
 * other entries have the owner in their names.
 */
async function isOfTheDead(path: string): Promise<boolean> {
  if (ownerOf(path) === 'dead') return true;
  const owner = parseIdentity(await readlink(path).catch(() => ''));
  return owner !== undefined && isRunning(owner) === false;
}

/** A lack of descriptors, or a file that a dying process still writes, does not last long. */
const REMOVE = { recursive: true, force: true, maxRetries: 5, retryDelay: 20 } as const;

/** Removes a tree, even if the modes of its directories forbid it. */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, REMOVE);
  } catch (error) {
    const code = systemErrorCode(error);
    if (code !== 'EACCES' && code !== 'EPERM') throw error;
    await openPermissions(path);
    await rm(path, REMOVE);
  }
}

async function openPermissions(directory: string): Promise<void> {
  const stats = await lstat(directory).catch(ignoreMissing);
  if (stats?.isDirectory() !== true) return;
  await chmod(directory, DIRECTORY_MODE);
  for (const name of await entryNamesIn(directory)) await openPermissions(`${directory}/${name}`);
}
