import type { VoteOutcome, VoteRequest, VotingClient } from '#domain/transactions/voter';
import type { ChannelCall, ChannelCallOptions } from '#rpc/common/grpc/channel-call';
import type { GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { callable } from '#rpc/common/grpc/grpc-method';
import { CORRELATION_ID } from '#rpc/common/header-names';
import type { Backchannels } from '#rpc/server/connection/backchannels';
import type { VotePhase } from '#storage/lifecycle/voter';
import {
  VoteTransactionRequest_Phase as Phase,
  RefTransaction,
  VoteTransactionResponse_TransactionState as State,
} from '#wire/gen/transaction_pb';
import { runningCall } from './running-call.ts';

const PHASES: Readonly<Record<VotePhase, Phase>> = {
  preparing: Phase.PREPARING_PHASE,
  prepared: Phase.PREPARED_PHASE,
  committed: Phase.COMMITTED_PHASE,
  synchronized: Phase.SYNCHRONIZED_PHASE,
};

const OUTCOMES: ReadonlyMap<State, VoteOutcome> = new Map([
  [State.COMMIT, 'commit'],
  [State.ABORT, 'abort'],
  [State.STOP, 'stop'],
]);

/** Lets the lines of other servers about a vote be found with those of its call. */
function withCaller(options: { signal: AbortSignal }): ChannelCallOptions {
  const correlationId = runningCall()?.context.correlationId;
  return correlationId === undefined
    ? options
    : { ...options, metadata: { [CORRELATION_ID]: correlationId } };
}

/**
 * Returns a function that casts the votes of calls over a multiplexed connection on its reverse
 * channel.
 */
export function votesOverBackchannels(
  backchannels: Backchannels<GrpcChannel>,
): (backchannelId: number) => VotingClient {
  return (backchannelId) => {
    backchannels.require(backchannelId);
    return {
      async vote({ transactionId, node, hash, phase }: VoteRequest, limits) {
        const channel = await backchannels.channel(backchannelId);
        const request = { transactionId, node, referenceUpdatesHash: hash, phase: PHASES[phase] };
        const options = withCaller(limits);
        const call = channel.invoke(callable(RefTransaction.method.voteTransaction), [request], options);
        const response = await onlyResponse(call);
        return response && OUTCOMES.get(response.state);
      },
      async stop(transactionId, limits) {
        const channel = await backchannels.channel(backchannelId);
        const request = { transactionId };
        const options = withCaller(limits);
        await onlyResponse(
          channel.invoke(callable(RefTransaction.method.stopTransaction), [request], options),
        );
      },
    };
  };
}

/**
 * Returns the response of a unary call before its status. The status is read afterwards: leaving
 * the call early would reset its stream, which costs both sides more than the end of the call.
 */
async function onlyResponse<O>(call: ChannelCall<O>): Promise<O | undefined> {
  const responses = call[Symbol.asyncIterator]();
  const { done, value } = await responses.next();
  if (done === true) return undefined;
  responses.next().catch(() => {}); // the response has arrived
  return value;
}
