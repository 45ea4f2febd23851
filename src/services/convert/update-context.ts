import type { UpdateContext } from '#domain/ref-update/update-with-hooks';
import type { HandlerContext } from '#rpc/server/handler';
import type { User } from '#wire/gen/shared_pb';
import { clientContextOf, remoteIpOf, transactionOf } from './push-context.ts';

/** A change on behalf of a user, as hooks and votes have to know it. */
export function updateContextOf(user: User, context: HandlerContext): UpdateContext {
  return {
    user: { username: user.glUsername, userId: user.glId, protocol: 'web', remoteIp: remoteIpOf(context) },
    transaction: transactionOf(context),
    clientContext: clientContextOf(context),
    correlationId: context.correlationId,
    signal: context.signal,
  };
}
