import type { Ballot, VoteOutcome, VotingClient } from '#domain/transactions/voter';
import type { GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { callable } from '#rpc/common/grpc/grpc-method';
import type { Backchannels } from '#rpc/server/connection/backchannels';
import type { VotePhase } from '#storage/lifecycle/voter';
import {
  VoteTransactionRequest_Phase as Phase,
  RefTransaction,
  VoteTransactionResponse_TransactionState as State,
} from '#wire/gen/transaction_pb';

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
      async vote({ transactionId, node, hash, phase }: Ballot, options) {
        const channel = await backchannels.channel(backchannelId);
        const request = { transactionId, node, referenceUpdatesHash: hash, phase: PHASES[phase] };
        const call = channel.invoke(callable(RefTransaction.method.voteTransaction), [request], options);
        for await (const { state } of call) return OUTCOMES.get(state);
        return undefined;
      },
      async stop(transactionId, options) {
        const channel = await backchannels.channel(backchannelId);
        for await (const _ of channel.invoke(
          callable(RefTransaction.method.stopTransaction),
          [{ transactionId }],
          options,
        ))
          return;
      },
    };
  };
}
