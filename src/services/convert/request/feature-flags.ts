import type { FeatureFlag } from '#platform/flags/feature-flags';
import type { HandlerContext } from '#rpc/server/handler';

// All of Gitaly's flags that change the behaviour of this server. Others are accepted, logged and
// passed on. docs/server.md lists them.

const BUNDLE_URI: FeatureFlag = { name: 'bundle_uri', onByDefault: false };
const GPG_SIGNING: FeatureFlag = { name: 'gpg_signing', onByDefault: true };
const MAILMAP_OPTIONS: FeatureFlag = { name: 'mailmap_options', onByDefault: true };
const REF_ITERATOR: FeatureFlag = { name: 'ref_iterator', onByDefault: true };

/** Reports whether `.mailmap` of HEAD applies to authors, committers and taggers. */
export function usesMailmap(context: HandlerContext): boolean {
  return context.flags.isEnabled(MAILMAP_OPTIONS);
}

/** Reports whether a fetch is offered a bundle. */
export function offersBundles(context: HandlerContext): boolean {
  return context.flags.isEnabled(BUNDLE_URI);
}

/** Reports whether a request may have its commit signed. */
export function allowsSigning(context: HandlerContext): boolean {
  return context.flags.isEnabled(GPG_SIGNING);
}

/**
 * Reports whether FindLocalBranches shows commits as `for-each-ref` does, in messages of about
 * 1 MiB; otherwise as all other calls do, 20 in a message.
 */
export function usesRefIterator(context: HandlerContext): boolean {
  return context.flags.isEnabled(REF_ITERATOR);
}
