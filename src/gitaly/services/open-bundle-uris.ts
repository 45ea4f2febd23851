import { messageOf } from '#base/gitaly-error';
import { BundleUris } from '#domain/bundle/bundle-uris';
import type { ObjectStore } from '#object-store/object-store';
import type { Foundation } from '../foundation.ts';

const NO_BUNDLE = 'making a bundle for clones failed';

/** Opens the bundles for clones. Their generation ends with `resources`. */
export function openBundleUris(
  bucket: ObjectStore,
  { config, logger, metrics }: Foundation,
  resources: AsyncDisposableStack,
): BundleUris {
  const bundleUris = new BundleUris(bucket, {
    maxAgeMs: config.bundleUri.maxAgeMs,
    observe: metrics.backups.observeBundleUri,
    onError: ({ storageName, relativePath }, error) =>
      logger.warn({ storage: storageName, relative_path: relativePath, error: messageOf(error) }, NO_BUNDLE),
  });
  resources.use(bundleUris.automatic);
  return bundleUris;
}
