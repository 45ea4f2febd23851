import { readdir, rename, rmdir, stat, unlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemErrorCode } from '#base/system-error';
import type { Storage } from './repository-target.ts';
import { cacheRoot, stateRoot } from './storage-layout.ts';
import { createTempDirectory } from './temp-directories.ts';

/** Cached responses and marks of changes that are older are removed. */
export const CACHE_MAX_AGE_MS = 60 * 60 * 1000;

/** Between two directories, so that a walk over a large cache leaves the disk to the calls. */
const PAUSE_MS = 1;

export interface CleanCachesOptions {
  /** Milliseconds since 1970, for tests. */
  readonly nowMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Throws the cached responses of earlier processes away: what they depend on (the server's version, for one) may have changed.
 * They are out of use when this resolves.
 *
 * @returns the directory that they were moved to, for the caller to delete when there is time; `undefined` when there were none.
 */
export async function retireCache(storage: Storage): Promise<AsyncDisposable | undefined> {
  const scratch = await createTempDirectory(storage, 'diskcache');
  try {
    await rename(cacheRoot(storage), `${scratch.path}/moved`);
    return scratch;
  } catch (error) {
    await scratch[Symbol.asyncDispose]();
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Removes files of the caches and of the generations that are past their age, and directories that are empty. Roots that are missing stay so: the storage may be unmounted. */
export async function cleanCaches(storage: Storage, options: CleanCachesOptions = {}): Promise<void> {
  const oldestMs = (options.nowMs ?? Date.now()) - CACHE_MAX_AGE_MS;
  for (const root of [cacheRoot(storage), stateRoot(storage)]) {
    await cleanDirectory(root, oldestMs, options.signal);
  }
}

/** @returns whether the directory is empty now. Entries that others remove or add meanwhile do no harm. */
async function cleanDirectory(directory: string, oldestMs: number, signal: AbortSignal | undefined): Promise<void> {
  for (const entry of (await readdir(directory, { withFileTypes: true }).catch(ignoreVanished)) ?? []) {
    const path = `${directory}/${entry.name}`;
    if (entry.isDirectory()) {
      await cleanDirectory(path, oldestMs, signal);
      await rmdir(path).catch(ignoreVanished);
      await sleep(PAUSE_MS, undefined, signal === undefined ? {} : { signal });
    } else if (((await stat(path).catch(ignoreVanished))?.mtimeMs ?? Infinity) < oldestMs) {
      await unlink(path).catch(ignoreVanished);
    }
  }
}

function ignoreVanished(error: unknown): undefined {
  const code = systemErrorCode(error);
  if (code === 'ENOENT' || code === 'ENOTEMPTY' || code === 'EEXIST') return undefined;
  throw error;
}
