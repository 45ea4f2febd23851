import { parseTransaction, type Transaction } from '#domain/transactions/transaction';
import { CLIENT_CONTEXT, REFERENCE_TRANSACTION, REMOTE_IP } from '#rpc/common/header-names';
import type { HandlerContext } from '#rpc/server/handler';

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
