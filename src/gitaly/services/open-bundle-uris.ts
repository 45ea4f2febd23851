import { messageOf } from '#base/gitaly-error';
import { BundleUris } from '#domain/bundle/bundle-uris';
import type { ObjectStore } from '#object-store/object-store';
import type { Storages } from '#storage/storages';
import type { Foundation } from '../foundation.ts';

const NO_BUNDLE = 'making a bundle for clones failed';
const LEFTOVER = 'bundles of a removed repository stay in the bucket';

/**
 * Opens the bundles for clones; those of repositories that go are removed. Work on them ends with
 * `resources`.
 */
export function openBundleUris(
  bucket: ObjectStore,
  { config, logger, metrics }: Foundation,
  storages: Storages,
  resources: AsyncDisposableStack,
): BundleUris {
  const bundleUris = new BundleUris(bucket, {
    maxAgeMs: config.bundleUri.maxAgeMs,
    observe: metrics.backups.observeBundleUri,
    onError: ({ storageName, relativePath }, error) =>
      logger.warn({ storage: storageName, relative_path: relativePath, error: messageOf(error) }, NO_BUNDLE),
    onLeftover: ({ storageName, relativePath }, error) =>
      logger.warn({ storage: storageName, relative_path: relativePath, error: messageOf(error) }, LEFTOVER),
  });
  storages.onLeft = (target) => bundleUris.automatic.removeLater(target);
  resources.use(bundleUris.automatic);
  return bundleUris;
}
