import type { FeatureFlag } from '#platform/flags/feature-flags';
import type { HandlerContext } from '#rpc/server/handler';

const GPG_SIGNING: FeatureFlag = { name: 'gpg_signing', onByDefault: true };
const MAILMAP_OPTIONS: FeatureFlag = { name: 'mailmap_options', onByDefault: true };

/** Whether authors, committers and taggers are shown as `.mailmap` of HEAD says. */
export function usesMailmap(context: HandlerContext): boolean {
  return context.flags.isEnabled(MAILMAP_OPTIONS);
}

/** Whether a request may have its commit signed. */
export function allowsSigning(context: HandlerContext): boolean {
  return context.flags.isEnabled(GPG_SIGNING);
}
