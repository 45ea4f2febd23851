import { mkdir, statfs } from 'node:fs/promises';
import { makeDirectories } from '#storage/lifecycle/make-directories';
import { streamCacheRoot } from '#storage/storage-layout';
import type { Storages } from '#storage/storages';
import { StreamCache, type StreamCacheOptions } from './stream-cache.ts';

const DIRECTORY_MODE = 0o700;
/** Share of the file system for a cache without a configured size. */
const DEFAULT_SHARE = 0.1;
/** Limit if the file system does not report its size. */
const FALLBACK_BYTES = 1 << 30;
const SWEEP_MS = 10 * 60 * 1000;

/** Settings of a cache. Without `maxBytes`, it may take a tenth of the file system. */
export type StreamCacheSettings = Pick<
  StreamCacheOptions,
  'directory' | 'maxAgeMs' | 'minOccurrences' | 'hasBackpressure' | 'endsUnread' | 'maxBytes' | 'smallBytes'
>;

export interface StreamCacheHooks
  extends Pick<StreamCacheOptions, 'observer' | 'onError' | 'isContended' | 'share'> {
  /** Called when files of dead processes could not be removed. */
  onSweepError(error: unknown): void;
}

/** Returns the default directory of a cache, in the first storage; the configuration requires one. */
export function streamCacheDirectory({ all: [first] }: Storages, name: string): string {
  if (first === undefined) throw new Error('the server has no storage');
  return streamCacheRoot(first, name);
}

/** Opens a cache. Files of dead processes are removed at once and every ten minutes. */
export async function openStreamCache<T>(
  storages: Storages,
  settings: StreamCacheSettings,
  { onSweepError, ...hooks }: StreamCacheHooks,
): Promise<StreamCache<T>> {
  const { directory, maxBytes } = settings;
  const cache = new StreamCache<T>({
    ...settings,
    ...hooks,
    makeDirectory: () => makeDirectory(directory, storages),
    maxBytes: maxBytes > 0 ? maxBytes : await defaultSize(directory, storages),
  });
  const sweep = (): void => {
    cache.removeStrays().catch(onSweepError);
  };
  sweep();
  const timer = setInterval(sweep, SWEEP_MS).unref();
  cache.onDispose(() => clearInterval(timer));
  return cache;
}

async function makeDirectory(directory: string, storages: Storages): Promise<void> {
  const storage = storageOf(directory, storages);
  if (storage === undefined) await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE });
  else await makeDirectories(storage, directory);
}

async function defaultSize(directory: string, storages: Storages): Promise<number> {
  try {
    const { blocks, bsize } = await statfs(storageOf(directory, storages)?.path ?? directory);
    return Math.floor(blocks * bsize * DEFAULT_SHARE);
  } catch {
    return FALLBACK_BYTES; // the directory does not exist yet
  }
}

function storageOf(directory: string, { all }: Storages): Storages['all'][number] | undefined {
  return all.find(({ path }) => directory.startsWith(`${path}/`));
}
