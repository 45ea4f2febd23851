import type { PackRequester } from '#domain/pack-objects/pack-limits';
import { USERNAME } from '#rpc/common/header-names';
import { LIMIT_UNAUTHENTICATED } from '#rpc/common/limit-unauthenticated';
import type { HandlerContext } from '#rpc/server/handler';
import { remoteIpOf } from './push-context.ts';

/** Returns the requester of a pack, from the metadata of the call. */
export function packRequesterOf(context: HandlerContext, remoteIp = remoteIpOf(context)): PackRequester {
  return {
    remoteIp,
    isAuthenticated: context.headers.has(USERNAME) || !context.flags.isEnabled(LIMIT_UNAUTHENTICATED),
    log: context.log,
  };
}
