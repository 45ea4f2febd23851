import { mkdir, statfs } from 'node:fs/promises';
import { messageOf } from '#base/gitaly-error';
import type { GitalyConfig } from '#platform/config/load-config';
import type { Logger } from '#platform/log/logger';
import type { PackMetrics } from '#platform/metrics/pack-metrics';
import { StreamCache, type StreamCacheOptions } from '#storage/cache/streams/stream-cache';
import { makeDirectories } from '#storage/lifecycle/make-directories';
import { streamCacheRoot } from '#storage/storage-layout';
import type { Storages } from '#storage/storages';

const DIRECTORY_MODE = 0o700;
/** Share of the file system for a cache without a configured size. */
const DEFAULT_SHARE = 0.1;
/** Limit if the file system does not tell its size. */
const FALLBACK_BYTES = 1 << 30;
/** The configuration requires a storage. */
const NO_STORAGE = { path: '/nonexistent' };
const SWEEP_MS = 10 * 60 * 1000;

export interface StreamCacheParts {
  readonly config: GitalyConfig;
  readonly storages: Storages;
  readonly metrics: PackMetrics;
  readonly logger: Logger;
  readonly isContended?: () => boolean;
}

const CACHES = {
  packObjectsCache: { label: 'pack_objects', name: 'PackObjectsCache' },
  archiveCache: { label: 'archive', name: 'ArchiveCache' },
} as const;

/** Time for which an advertisement is kept if git, or another program, changes the repository. */
const ADVERTISEMENT_AGE_MS = 5 * 60 * 1000;
/** An advertisement of some 15,000 references stays in memory. */
const ADVERTISEMENT_MEMORY_BYTES = 1 << 20;

/**
 * Creates the cache of packs or of archives. If it is not enabled, it shares streams that are under
 * way.
 */
export async function createStreamCache<T>(
  table: keyof typeof CACHES,
  parts: StreamCacheParts,
): Promise<StreamCache<T>> {
  const { label, name } = CACHES[table];
  const { backpressure, dir, enabled, maxAgeMs, maxSizeBytes, minOccurrences } = parts.config[table];
  const directory = dir ?? defaultDirectory(name, parts);
  if (enabled) parts.metrics.cacheEnabled(label, directory, maxAgeMs);
  return await createCache(parts, name, {
    directory,
    maxAgeMs: enabled ? maxAgeMs : 0,
    minOccurrences,
    hasBackpressure: backpressure,
    maxBytes: maxSizeBytes,
  });
}

/** Creates the cache of the references that InfoRefsUploadPack advertises. It is always enabled. */
export async function createAdvertisementCache(
  parts: StreamCacheParts,
  { diskCache }: { diskCache(event: 'err'): void },
): Promise<StreamCache<void>> {
  const name = 'InfoRefsCache';
  return await createCache(parts, name, {
    directory: defaultDirectory(name, parts),
    maxAgeMs: ADVERTISEMENT_AGE_MS,
    minOccurrences: 0,
    hasBackpressure: false,
    maxBytes: 0,
    smallBytes: ADVERTISEMENT_MEMORY_BYTES,
    onError: () => diskCache('err'),
  });
}

type Settings = Pick<
  StreamCacheOptions,
  'directory' | 'maxAgeMs' | 'minOccurrences' | 'hasBackpressure' | 'maxBytes' | 'smallBytes'
> & { readonly onError?: () => void };

/** Creates a cache. Files of dead processes are removed now and then. */
async function createCache<T>(
  { storages, metrics, logger, isContended }: StreamCacheParts,
  name: string,
  settings: Settings,
): Promise<StreamCache<T>> {
  const { directory: dir, maxBytes } = settings;
  const warn = (error: unknown, message: string): void =>
    logger.warn({ error: messageOf(error), dir }, message);
  const cache = new StreamCache<T>({
    ...settings,
    makeDirectory: () => makeDirectory(dir, storages),
    maxBytes: maxBytes > 0 ? maxBytes : await defaultSize(dir, storages),
    observer: metrics.streamCache(name, dir),
    onError: (error) => {
      settings.onError?.();
      warn(error, 'a file of the stream cache failed');
    },
    ...(isContended !== undefined && { isContended }),
  });
  const sweep = (): void => {
    cache.removeStrays().catch((error: unknown) => warn(error, 'cleaning the stream cache failed'));
  };
  sweep();
  const timer = setInterval(sweep, SWEEP_MS).unref();
  cache.onDispose(() => clearInterval(timer));
  return cache;
}

function defaultDirectory(name: string, { storages }: StreamCacheParts): string {
  return streamCacheRoot(storages.all[0] ?? NO_STORAGE, name);
}

async function makeDirectory(dir: string, storages: Storages): Promise<void> {
  const storage = storages.all.find(({ path }) => dir.startsWith(`${path}/`));
  if (storage === undefined) await mkdir(dir, { recursive: true, mode: DIRECTORY_MODE });
  else await makeDirectories(storage, dir);
}

async function defaultSize(dir: string, storages: Storages): Promise<number> {
  const storage = storages.all.find(({ path }) => dir.startsWith(`${path}/`));
  try {
    const { blocks, bsize } = await statfs(storage?.path ?? dir);
    return Math.floor(blocks * bsize * DEFAULT_SHARE);
  } catch {
    return FALLBACK_BYTES;
  }
}
