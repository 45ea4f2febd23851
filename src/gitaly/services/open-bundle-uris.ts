import { messageOf } from '#base/gitaly-error';
import { BundleUris } from '#domain/bundle/bundle-uris';
import type { ObjectStore } from '#object-store/object-store';
import { bundleRemovalsRoot } from '#storage/storage-layout';
import type { Storages } from '#storage/storages';
import type { Foundation } from '../foundation.ts';

const NO_BUNDLE = 'making a bundle for clones failed';
const LEFTOVER = 'bundles of a removed repository stay in the bucket until the next attempt, in an hour';
const FORGOTTEN = 'removals of bundles cannot be remembered';

/**
 * Opens the bundles for clones. Bundles of removed repositories are removed. `resources` ends the
 * work on them.
 */
export function openBundleUris(
  bucket: ObjectStore,
  { config, family, logger, metrics }: Foundation,
  storages: Storages,
  resources: AsyncDisposableStack,
): BundleUris {
  const [first] = storages.all;
  const bundleUris = new BundleUris(bucket, {
    maxAgeMs: config.bundleUri.maxAgeMs,
    observe: metrics.backups.observeBundleUri,
    onError: ({ storageName, relativePath }, error) =>
      logger.warn({ storage: storageName, relative_path: relativePath, error: messageOf(error) }, NO_BUNDLE),
    pendingRemovals: first && bundleRemovalsRoot(first),
    onProblem: (error) => logger.warn({ error: messageOf(error) }, FORGOTTEN),
    onLeftover: ({ storageName, relativePath }, error) =>
      logger.warn({ storage: storageName, relative_path: relativePath, error: messageOf(error) }, LEFTOVER),
  });
  storages.onLeft = (target) => bundleUris.automatic.removeLater(target);
  resources.use(bundleUris.automatic);
  if (family?.role !== 'worker') bundleUris.automatic.startSweeps();
  return bundleUris;
}
