import type { PackRequester } from '#domain/pack-objects/pack-limits';
import type { FeatureFlag } from '#platform/flags/feature-flags';
import { USERNAME } from '#rpc/common/header-names';
import type { HandlerContext } from '#rpc/server/handler';
import { remoteIpOf } from './push-context.ts';

const LIMIT_UNAUTHENTICATED: FeatureFlag = { name: 'limit_unauthenticated', onByDefault: true };

/** Returns for whom a pack is made, by the metadata of the call. */
export function packRequesterOf(context: HandlerContext, remoteIp = remoteIpOf(context)): PackRequester {
  return {
    remoteIp,
    isAuthenticated: context.headers.has(USERNAME) || !context.flags.isEnabled(LIMIT_UNAUTHENTICATED),
    log: context.log,
  };
}
