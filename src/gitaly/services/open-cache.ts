import { messageOf } from '#base/gitaly-error';
import type { GitalyConfig } from '#platform/config/load-config';
import type { Logger } from '#platform/log/logger';
import type { PackMetrics } from '#platform/metrics/pack-metrics';
import { openStreamCache, type StreamCacheSettings } from '#storage/cache/streams/open-stream-cache';
import type { StreamCache } from '#storage/cache/streams/stream-cache';
import type { Storages } from '#storage/storages';
import type { ProcessFamily } from '#workers/family';

export interface OpenCacheOptions {
  readonly config: GitalyConfig;
  readonly storages: Storages;
  readonly metrics: PackMetrics;
  readonly logger: Logger;
  readonly isContended?: () => boolean;
  /** The other processes of this server. */
  readonly family: Pick<ProcessFamily, 'share'> | undefined;
}

/** Opens a cache with metrics under its name. Its errors are logged. */
export async function openCache<T>(
  { storages, metrics, logger, isContended, family }: OpenCacheOptions,
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
    share: family?.share,
  });
}
