import { messageOf, wrap } from '#base/gitaly-error';
import type { ObjectStore } from '#object-store/object-store';
import type { StoreObserver } from '#object-store/observed-store';
import { type OpenStoreOptions, openStore } from '#object-store/open-store';
import { UnsupportedStoreError } from '#object-store/store-error';
import type { GitalyConfig } from '#platform/config/load-config';
import type { Logger } from '#platform/log/logger';

/** The configured buckets; calls that need a missing one report that it is not configured. */
export interface Buckets {
  readonly backup: ObjectStore | undefined;
  readonly bundleUri: ObjectStore | undefined;
}

/** Opens the buckets of the configuration. @throws {Error} when one cannot be used. */
export async function openBuckets(
  config: GitalyConfig,
  logger: Logger,
  observer: StoreObserver,
): Promise<Buckets> {
  requireOffloadingUrl(config);
  const { backup, bundleUri } = config;
  const open = (key: string, url: string | undefined, partBytes = 0) =>
    openConfigured(key, url, { logger, observer, partBytes });
  return {
    backup: await open('backup.go_cloud_url', backup.goCloudUrl, backup.bufferSize),
    bundleUri: await open('bundle_uri.go_cloud_url', bundleUri.goCloudUrl),
  };
}

/**
 * Refuses a configuration with which Gitaly does not start either. Gitaly reads `[offloading]` only
 * if transactions are enabled.
 */
function requireOffloadingUrl({ transactions, offloading }: GitalyConfig): void {
  if (transactions.enabled && offloading.enabled && !offloading.goCloudUrl)
    throw new Error('empty offloading storage URL');
}

/**
 * A kind of bucket that only Gitaly supports, or whose package is missing, causes a warning: git
 * works without backups.
 */
async function openConfigured(
  key: string,
  url: string | undefined,
  { logger, ...options }: { readonly logger: Logger } & OpenStoreOptions,
): Promise<ObjectStore | undefined> {
  if (!url) return undefined;
  try {
    return await openStore(url, options);
  } catch (error) {
    if (!(error instanceof UnsupportedStoreError)) throw wrap(error, key);
    logger.warn({ key, error: messageOf(error) }, 'the calls that need this bucket are refused');
    return undefined;
  }
}
