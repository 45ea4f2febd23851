import { parseTransaction, type Transaction } from '#domain/transactions/transaction';
import { CLIENT_CONTEXT, REFERENCE_TRANSACTION, REMOTE_IP } from '#rpc/common/header-names';
import type { HandlerContext } from '#rpc/server/handler';

/** Returns the transaction that a call has to vote in; `undefined` for none. */
export function transactionOf(context: HandlerContext): Transaction | undefined {
  return parseTransaction(context.headers.get(REFERENCE_TRANSACTION), context.peer.backchannelId);
}

/** Address of the user behind a call, as the client says it; empty when it does not. */
export function remoteIpOf(context: HandlerContext): string {
  return context.headers.get(REMOTE_IP) ?? '';
}

/** Returns opaque bytes that the client wants passed on to GitLab's internal API. */
export function clientContextOf(context: HandlerContext): Buffer | undefined {
  return context.headers.getBytes(CLIENT_CONTEXT);
}
