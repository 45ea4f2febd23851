import type { FeatureFlag } from '#platform/flags/feature-flags';
import type { HandlerContext } from '#rpc/server/handler';

/** Checked by many calls; other flags are declared next to the only code that checks them. */
export const MAILMAP_OPTIONS: FeatureFlag = { name: 'mailmap_options', onByDefault: true };

/** Reports whether `.mailmap` of HEAD applies to authors, committers and taggers. */
export function usesMailmap(context: HandlerContext): boolean {
  return context.flags.isEnabled(MAILMAP_OPTIONS);
}
