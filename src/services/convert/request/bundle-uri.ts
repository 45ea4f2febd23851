import { messageOf } from '#base/gitaly-error';
import type { BundleUris } from '#domain/bundle/bundle-uris';
import type { OfferedBundle } from '#domain/bundle/offered-bundle';
import type { FetchResult } from '#domain/upload-pack/fetch';
import type { FeatureFlag } from '#platform/flags/feature-flags';
import type { HandlerContext } from '#rpc/server/handler';
import type { Repository } from '#storage/repository';

/** On: a fetch is offered a bundle. */
const BUNDLE_URI: FeatureFlag = { name: 'bundle_uri', onByDefault: false };
/** On: bundles are made when clones are frequent. */
const BUNDLE_GENERATION: FeatureFlag = { name: 'bundle_generation', onByDefault: false };
/** Sent by Praefect. */
const VIRTUAL_STORAGE = 'virtual_storage';

/** Dependencies of fetches that offer bundles. */
export interface BundleDependencies {
  /** `undefined` without `[bundle_uri] go_cloud_url`. */
  readonly bundleUris?: BundleUris | undefined;
  /** `[bundle_uri] automatic`: bundles are made and offered without feature flags. */
  readonly makesBundles?: boolean;
}

/**
 * Returns the name under which the bundles of a storage are stored, which is the same on all nodes
 * of a cluster.
 */
export function bundleStorageOf({ storageName }: Repository, { headers }: HandlerContext): string {
  return headers.get(VIRTUAL_STORAGE) ?? storageName;
}

/**
 * Returns the bundles that a fetch is offered; none if the call does not allow it, or if the
 * client's protocol has no bundles. A failure is only logged: the fetch works without bundles.
 */
export async function offeredBundles(
  { repository, gitProtocol }: { readonly repository: Repository; readonly gitProtocol: string },
  context: HandlerContext,
  { bundleUris, makesBundles = false }: BundleDependencies,
): Promise<readonly OfferedBundle[]> {
  if (bundleUris === undefined || gitProtocol !== 'version=2') return [];
  if (!makesBundles && !context.flags.isEnabled(BUNDLE_URI)) return [];
  try {
    return await bundleUris.offered(repository, {
      storageName: bundleStorageOf(repository, context),
      signal: context.signal,
    });
  } catch (error) {
    context.log.add({ bundle_uri_error: messageOf(error) });
    return [];
  }
}

/** Counts a fetch that was a clone, for which a bundle would have been of use. */
export function noteClone(
  repository: Repository,
  { isWellFormed, statistics }: FetchResult,
  context: HandlerContext,
  { bundleUris, makesBundles = false }: BundleDependencies,
): void {
  if (bundleUris === undefined || !(makesBundles || context.flags.isEnabled(BUNDLE_GENERATION))) return;
  const { deepen, filter, haves, shallows, wants } = statistics;
  if (!isWellFormed || wants === 0 || haves > 0 || shallows > 0 || deepen !== '' || filter !== '') return;
  bundleUris.automatic.noteClone(repository, bundleStorageOf(repository, context));
}
