import type { HookManager } from '#domain/hooks/hook-manager';
import type { UpdateContext } from '#domain/ref-update/update-with-hooks';
import type { HandlerContext } from '#rpc/server/handler';
import type { User } from '#wire/gen/shared_pb';
import { clientContextOf, pushRulesOf, remoteIpOf, transactionOf } from './push-context.ts';

/**
 * Returns the facts about a call that hooks and votes need when it changes a reference for a user.
 *
 * @throws {GitalyError} INVALID_ARGUMENT for rules of a token that cannot be read.
 */
export function updateContextOf(user: User, context: HandlerContext, hooks: HookManager): UpdateContext {
  context.user = { id: user.glId, name: user.glUsername };
  return {
    hooks,
    user: { username: user.glUsername, userId: user.glId, protocol: 'web', remoteIp: remoteIpOf(context) },
    transaction: transactionOf(context),
    clientContext: clientContextOf(context),
    pushRules: pushRulesOf(context),
    correlationId: context.correlationId,
    signal: context.signal,
  };
}
