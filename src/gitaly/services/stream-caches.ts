import { messageOf } from '#base/gitaly-error';
import type { GitalyConfig } from '#platform/config/load-config';
import type { Logger } from '#platform/log/logger';
import type { PackMetrics } from '#platform/metrics/pack-metrics';
import { openStreamCache, type StreamCacheSettings } from '#storage/cache/streams/open-stream-cache';
import type { StreamCache } from '#storage/cache/streams/stream-cache';
import { streamCacheRoot } from '#storage/storage-layout';
import type { Storages } from '#storage/storages';

/** The configuration requires a storage. */
const NO_STORAGE = { path: '/nonexistent' };

export interface StreamCacheOptions {
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
  options: StreamCacheOptions,
): Promise<StreamCache<T>> {
  const { label, name } = CACHES[table];
  const { backpressure, dir, enabled, maxAgeMs, maxSizeBytes, minOccurrences } = options.config[table];
  const directory = dir ?? defaultDirectory(name, options);
  if (enabled) options.metrics.cacheEnabled(label, directory, maxAgeMs);
  return await openCache(options, name, {
    directory,
    maxAgeMs: enabled ? maxAgeMs : 0,
    minOccurrences,
    hasBackpressure: backpressure,
    maxBytes: maxSizeBytes,
  });
}

/** Creates the cache of the references that InfoRefsUploadPack advertises. It is always enabled. */
export async function createAdvertisementCache(
  options: StreamCacheOptions,
  { diskCache }: { diskCache(event: 'err'): void },
): Promise<StreamCache<void>> {
  const name = 'InfoRefsCache';
  return await openCache(options, name, {
    directory: defaultDirectory(name, options),
    maxAgeMs: ADVERTISEMENT_AGE_MS,
    minOccurrences: 0,
    hasBackpressure: false,
    maxBytes: 0,
    smallBytes: ADVERTISEMENT_MEMORY_BYTES,
    onError: () => diskCache('err'),
  });
}

/** Opens a cache whose errors are logged. */
async function openCache<T>(
  { storages, metrics, logger, isContended }: StreamCacheOptions,
  name: string,
  { onError, ...settings }: StreamCacheSettings & { readonly onError?: () => void },
): Promise<StreamCache<T>> {
  const { directory } = settings;
  const warn = (error: unknown, message: string): void =>
    logger.warn({ error: messageOf(error), dir: directory }, message);
  return await openStreamCache<T>(storages, settings, {
    observer: metrics.streamCache(name, directory),
    onError: (error) => {
      onError?.();
      warn(error, 'a file of the stream cache failed');
    },
    onSweepError: (error) => warn(error, 'cleaning the stream cache failed'),
    ...(isContended !== undefined && { isContended }),
  });
}

function defaultDirectory(name: string, { storages }: StreamCacheOptions): string {
  return streamCacheRoot(storages.all[0] ?? NO_STORAGE, name);
}
