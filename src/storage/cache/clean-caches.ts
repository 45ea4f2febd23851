import { readdir, rename, rmdir, stat, unlink } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemErrorCode } from '#base/go/system-error';
import type { Storage } from '../repository-target.ts';
import { cacheRoot, PENDING, stateRoot } from '../storage-layout.ts';
import { createTempDirectory } from '../temp-directories.ts';

/** Age above which cached responses and generations are removed. */
export const CACHE_MAX_AGE_MS = 60 * 60 * 1000;

/** Pause between two directories, so that cleaning a large cache does not slow calls down. */
const PAUSE_MS = 1;

export interface CleanCachesOptions {
  /** Milliseconds since 1970, for tests. */
  readonly nowMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** Notified of each step, for metrics. */
  readonly onStep?: (step: CleaningStep) => void;
}

export type CleaningStep = 'check' | 'removal' | 'empty_dir' | 'empty_dir_removal' | 'error';

/**
 * Discards the cached responses of another server, as Gitaly does at its start. They are not used
 * any more when this resolves.
 *
 * @returns the directory to which they were moved, for the caller to delete later; `undefined` if
 *   there were none.
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

/**
 * Removes files of the caches and of the generations that are past their age, and directories that
 * are empty. Marks of changes stay: they lead to files of crashed processes (leftovers/). Missing
 * roots are not created: the storage may be unmounted.
 */
export async function cleanCaches(storage: Storage, options: CleanCachesOptions = {}): Promise<void> {
  const oldestMs = (options.nowMs ?? Date.now()) - CACHE_MAX_AGE_MS;
  for (const root of [cacheRoot(storage), stateRoot(storage)]) {
    await cleanDirectory(root, { oldestMs, signal: options.signal, step: options.onStep ?? (() => {}) });
  }
}

interface Walk {
  readonly oldestMs: number;
  readonly signal: AbortSignal | undefined;
  readonly step: (step: CleaningStep) => void;
}

/** Cleans a directory. Concurrent changes of entries do no harm. */
async function cleanDirectory(directory: string, walk: Walk): Promise<void> {
  const { signal, step } = walk;
  const ignored = (error: unknown): undefined => {
    try {
      return ignoreVanished(error);
    } catch {
      step('error');
      throw error;
    }
  };
  for (const entry of (await readdir(directory, { withFileTypes: true }).catch(ignored)) ?? []) {
    const path = `${directory}/${entry.name}`;
    if (entry.isDirectory()) {
      await cleanDirectory(path, walk);
      await removeEmpty(path, step).catch(ignored);
      await sleep(PAUSE_MS, undefined, signal === undefined ? {} : { signal });
      continue;
    }
    if (basename(directory) === PENDING) continue;
    step('check');
    if (((await stat(path).catch(ignored))?.mtimeMs ?? Infinity) < walk.oldestMs) {
      const removed = await unlink(path).then(() => true, ignored);
      if (removed) step('removal');
    }
  }
}

async function removeEmpty(directory: string, step: Walk['step']): Promise<void> {
  await rmdir(directory);
  step('empty_dir');
  step('empty_dir_removal');
}

function ignoreVanished(error: unknown): undefined {
  const code = systemErrorCode(error);
  if (code === 'ENOENT' || code === 'ENOTEMPTY' || code === 'EEXIST') return undefined;
  throw error;
}
