import { GitalyError, messageOf } from '#base/gitaly-error';
import { type HandlerContext, type ServedService, serve } from '#rpc/server/handler';
import {
  VoteTransactionRequest_Phase as Phase,
  RefTransaction,
  VoteTransactionResponse_TransactionState as State,
} from '#wire/gen/transaction_pb';
import { callFields } from '../coordinator/call-fields.ts';
import type { VotePhase } from '../transactions/serialized-writes.ts';
import { TransactionError, UnknownTransactionError } from '../transactions/transaction-error.ts';
import type { Transactions } from '../transactions/transactions.ts';

const PHASES: ReadonlyMap<Phase, VotePhase> = new Map([
  [Phase.PREPARING_PHASE, 'preparing'],
  [Phase.PREPARED_PHASE, 'prepared'],
  [Phase.COMMITTED_PHASE, 'committed'],
  [Phase.SYNCHRONIZED_PHASE, 'synchronized'],
]);
const phaseOf = (phase: Phase): VotePhase => PHASES.get(phase) ?? 'unknown';

/** Bytes of a SHA-1. */
const HASH_BYTES = 20;

/** The votes of nodes, cast on their reverse channels and on our own listeners. */
export function refTransactionService(transactions: Transactions): ServedService {
  return serve(RefTransaction, {
    async voteTransaction({ node, phase, referenceUpdatesHash, transactionId }, context) {
      if (phase === Phase.PREPARING_PHASE && referenceUpdatesHash.length === 0) {
        await transactions.enter(transactionId, context.signal).catch((error: unknown) => {
          throw withStatus(error);
        });
        return { state: State.COMMIT };
      }
      if (referenceUpdatesHash.length !== HASH_BYTES) {
        const text = `invalid vote length ${referenceUpdatesHash.length}, wanted ${HASH_BYTES}`;
        throw new GitalyError('INVALID_ARGUMENT', `invalid reference update hash: ${text}`);
      }
      const hash = Buffer.from(referenceUpdatesHash).toString('hex');
      try {
        await transactions.vote(transactionId, {
          node,
          hash,
          phase: phaseOf(phase),
          signal: context.signal,
          callFields: callFields(context, componentOf(context)),
        });
        return { state: State.COMMIT };
      } catch (error) {
        return { state: stateAfter(error) };
      }
    },
    stopTransaction({ transactionId }) {
      try {
        transactions.stop(transactionId);
      } catch (error) {
        throw withStatus(error);
      }
      return {};
    },
  });
}

/** Returns the access log of a vote: nodes vote on the connections that we have opened to them. */
function componentOf({ peer }: HandlerContext): string {
  return peer.transport === 'internal' ? 'backchannel.PraefectServer' : 'praefect.UnaryServerInterceptor';
}

/** @throws {GitalyError} for a vote that has no result. */
function stateAfter(error: unknown): State {
  if (error instanceof TransactionError && error.end === 'failed') return State.ABORT;
  if (error instanceof TransactionError && error.end === 'stopped') return State.STOP;
  throw withStatus(error);
}

function withStatus(error: unknown): GitalyError {
  if (error instanceof GitalyError) return error; // the caller has gone
  if (error instanceof UnknownTransactionError)
    return new GitalyError('NOT_FOUND', error.message, { cause: error });
  const code = error instanceof TransactionError && error.end === 'canceled' ? 'CANCELLED' : 'INTERNAL';
  return new GitalyError(code, messageOf(error), { cause: error });
}
