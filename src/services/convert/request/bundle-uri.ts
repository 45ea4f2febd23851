import { messageOf } from '#base/gitaly-error';
import type { BundleUris } from '#domain/bundle/bundle-uris';
import type { FeatureFlag } from '#platform/flags/feature-flags';
import type { HandlerContext } from '#rpc/server/handler';
import type { Repository } from '#storage/repository';

/** On: a fetch is offered a bundle. */
const BUNDLE_URI: FeatureFlag = { name: 'bundle_uri', onByDefault: false };
/** Sent by Praefect. */
const VIRTUAL_STORAGE = 'virtual_storage';

/** Returns the name under which the bundles of a storage are kept: the nodes of a cluster share them. */
export function bundleStorageOf({ storageName }: Repository, { headers }: HandlerContext): string {
  return headers.get(VIRTUAL_STORAGE) ?? storageName;
}

/**
 * Returns the address of the bundle that a fetch is offered; `undefined` if there is none, if the
 * call does not allow it, or if the client's protocol has no bundles. A failure is only logged:
 * the fetch works without a bundle.
 */
export async function offeredBundle(
  { repository, gitProtocol }: { readonly repository: Repository; readonly gitProtocol: string },
  context: HandlerContext,
  bundleUris: BundleUris | undefined,
): Promise<string | undefined> {
  if (bundleUris === undefined || gitProtocol !== 'version=2') return undefined;
  if (!context.flags.isEnabled(BUNDLE_URI)) return undefined;
  try {
    return await bundleUris.publicUrl(repository, {
      storageName: bundleStorageOf(repository, context),
      signal: context.signal,
    });
  } catch (error) {
    context.log.add({ bundle_uri_error: messageOf(error) });
    return undefined;
  }
}
