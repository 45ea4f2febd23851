import { invalidArgument, messageOf } from '#base/gitaly-error';
import { parseTransaction, type Transaction } from '#domain/transactions/transaction';
import { CLIENT_CONTEXT, REFERENCE_RULES, REFERENCE_TRANSACTION, REMOTE_IP } from '#rpc/common/header-names';
import type { HandlerContext } from '#rpc/server/handler';
import { decodePushRules, type PushRules } from '#tokens/push-rules';

/** Returns the transaction that a call has to vote in; `undefined` for none. */
export function transactionOf(context: HandlerContext): Transaction | undefined {
  return parseTransaction(context.headers.get(REFERENCE_TRANSACTION), context.peer.backchannelId);
}

/** Address of the user behind a call, as sent by the client; empty if it is not sent. */
export function remoteIpOf(context: HandlerContext): string {
  return context.headers.get(REMOTE_IP) ?? '';
}

/** Returns opaque bytes of the client for GitLab's internal API. */
export function clientContextOf(context: HandlerContext): Buffer | undefined {
  return context.headers.getBytes(CLIENT_CONTEXT);
}

/**
 * Returns the rules of the token with which a push came to a gateway; `undefined` for none.
 *
 * @throws {GitalyError} INVALID_ARGUMENT for rules that cannot be read: the push is refused.
 */
export function pushRulesOf(context: HandlerContext): PushRules | undefined {
  const bytes = context.headers.getBytes(REFERENCE_RULES);
  if (bytes === undefined) return undefined;
  try {
    return decodePushRules(bytes);
  } catch (error) {
    throw invalidArgument(`reference rules: ${messageOf(error)}`, { cause: error });
  }
}
