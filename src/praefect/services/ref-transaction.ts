import { type HandlerContext, type ServedService, serve } from '#rpc/server/handler';
import { RefTransaction } from '#wire/gen/transaction_pb';
import { callFields } from '../coordinator/call-fields.ts';
import type { Transactions } from '../transactions/transactions.ts';
import { castVote, stopTransaction } from './cast-vote.ts';

/** The votes of nodes, cast on their reverse channels and on our own listeners. */
export function refTransactionService(transactions: Transactions): ServedService {
  return serve(RefTransaction, {
    async voteTransaction(request, context) {
      const fields = callFields(context, componentOf(context));
      const { signal } = context;
      return { state: await castVote(transactions, request, { signal, callFields: fields }) };
    },
    stopTransaction({ transactionId }) {
      stopTransaction(transactions, transactionId);
      return {};
    },
  });
}

/** Returns the access log of a vote: nodes vote on the connections that we have opened to them. */
function componentOf({ peer }: HandlerContext): string {
  return peer.transport === 'internal' ? 'backchannel.PraefectServer' : 'praefect.UnaryServerInterceptor';
}
