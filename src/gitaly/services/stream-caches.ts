import { LARGE_DIFFS } from '#domain/diff/large-diffs';
import { ADVERTISEMENT_CACHE } from '#domain/git-service/cached-advertisement';
import { streamCacheDirectory } from '#storage/cache/streams/open-stream-cache';
import type { StreamCache } from '#storage/cache/streams/stream-cache';
import { type OpenCacheOptions, openCache } from './open-cache.ts';

const CACHES = {
  packObjectsCache: { label: 'pack_objects', name: 'PackObjectsCache' },
  archiveCache: { label: 'archive', name: 'ArchiveCache' },
} as const;

/**
 * Creates the cache of packs or of archives. If it is not enabled, it shares streams that are under
 * way.
 */
export async function createStreamCache<T>(
  table: keyof typeof CACHES,
  options: OpenCacheOptions,
): Promise<StreamCache<T>> {
  const { label, name } = CACHES[table];
  const { backpressure, dir, enabled, maxAgeMs, maxSizeBytes, minOccurrences } = options.config[table];
  const directory = dir ?? streamCacheDirectory(options.storages, name);
  if (enabled) options.metrics.cacheEnabled(label, directory, maxAgeMs);
  return await openCache(options, name, {
    directory,
    maxAgeMs: enabled ? maxAgeMs : 0,
    minOccurrences,
    hasBackpressure: backpressure,
    maxBytes: maxSizeBytes,
  });
}

/** Creates the cache of the references that InfoRefsUploadPack advertises. */
export async function createAdvertisementCache(
  options: OpenCacheOptions,
  { diskCache }: { diskCache(event: 'err'): void },
): Promise<StreamCache<void>> {
  const name = 'InfoRefsCache';
  return await openCache(options, name, {
    ...ADVERTISEMENT_CACHE,
    directory: streamCacheDirectory(options.storages, name),
    onError: () => diskCache('err'),
  });
}

/**
 * Creates the cache of diffs that are too large for memory. A stream says whether it may be cached.
 */
export async function createDiffCache(options: OpenCacheOptions): Promise<StreamCache<boolean>> {
  const name = 'DiffCache';
  const directory = streamCacheDirectory(options.storages, name);
  return await openCache(options, name, { ...LARGE_DIFFS, directory });
}
