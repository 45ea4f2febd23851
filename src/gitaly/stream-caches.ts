import { mkdir, statfs } from 'node:fs/promises';
import { messageOf } from '#base/gitaly-error';
import type { GitalyConfig } from '#platform/config/load-config';
import type { Logger } from '#platform/log/logger';
import type { PackMetrics } from '#platform/metrics/pack-metrics';
import { StreamCache } from '#storage/cache/streams/stream-cache';
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

/**
 * Creates a cache of streams. If it is not enabled, it shares streams that are under way. Files of
 * dead processes are removed now and then.
 */
export async function createStreamCache<T>(
  table: keyof typeof CACHES,
  { config, storages, metrics, logger, isContended }: StreamCacheParts,
): Promise<StreamCache<T>> {
  const { label, name } = CACHES[table];
  const { backpressure, enabled, maxAgeMs, maxSizeBytes, minOccurrences } = config[table];
  const dir = config[table].dir ?? streamCacheRoot(storages.all[0] ?? NO_STORAGE, name);
  const warn = (error: unknown, message: string): void =>
    logger.warn({ error: messageOf(error), dir }, message);
  const observer = metrics.streamCache(name, dir);
  if (enabled) metrics.cacheEnabled(label, dir, maxAgeMs);
  const cache = new StreamCache<T>({
    directory: dir,
    makeDirectory: () => makeDirectory(dir, storages),
    maxAgeMs: enabled ? maxAgeMs : 0,
    minOccurrences,
    hasBackpressure: backpressure,
    maxBytes: maxSizeBytes > 0 ? maxSizeBytes : await defaultSize(dir, storages),
    observer,
    onError: (error) => warn(error, 'a file of the stream cache failed'),
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
