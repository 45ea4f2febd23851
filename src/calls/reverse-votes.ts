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
import { VoteStream } from './vote-stream.ts';

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
 * channel: on one stream for all votes if the far end reads it, else with a call for each.
 */
export function votesOverBackchannels(
  backchannels: Backchannels<GrpcChannel>,
): (backchannelId: number, hasStream?: boolean) => VotingClient {
  const streams = new Map<number, Promise<VoteStream>>();
  const open = async (id: number): Promise<VoteStream> => {
    const stream = new VoteStream(await backchannels.channel(id));
    void stream.ended.then(() => streams.delete(id));
    return stream;
  };
  const streamOf = (id: number): Promise<VoteStream> => {
    let stream = streams.get(id);
    if (stream === undefined) {
      stream = open(id);
      streams.set(id, stream);
      stream.catch(() => streams.delete(id));
    }
    return stream;
  };
  return (backchannelId, hasStream = false) => {
    backchannels.require(backchannelId);
    if (hasStream) return streamedVotes(() => streamOf(backchannelId));
    return votesByCalls(() => backchannels.channel(backchannelId));
  };
}

function streamedVotes(stream: () => Promise<VoteStream>): VotingClient {
  const correlationId = runningCall()?.context.correlationId ?? '';
  return {
    async vote(vote, { signal }) {
      const references = [...(vote.references ?? [])];
      const value = { ...fieldsOf(vote), references, checksLocks: true };
      const request = { case: 'vote', value } as const;
      const { state } = await (await stream()).cast({ correlationId, request }, signal);
      return OUTCOMES.get(state);
    },
    async stop(transactionId, { signal }) {
      const request = { case: 'stop', value: transactionId } as const;
      await (await stream()).cast({ correlationId, request }, signal);
    },
  };
}

function votesByCalls(channelOf: () => Promise<GrpcChannel>): VotingClient {
  return {
    async vote(vote, limits) {
      const channel = await channelOf();
      const [method, options] = [RefTransaction.method.voteTransaction, withCaller(limits)];
      const response = await onlyResponse(channel.invoke(callable(method), [fieldsOf(vote)], options));
      return response && OUTCOMES.get(response.state);
    },
    async stop(transactionId, limits) {
      const channel = await channelOf();
      const [method, options] = [RefTransaction.method.stopTransaction, withCaller(limits)];
      await onlyResponse(channel.invoke(callable(method), [{ transactionId }], options));
    },
  };
}

/** Returns the fields of a vote on the wire. */
function fieldsOf({ hash, node, phase, transactionId }: VoteRequest) {
  return { transactionId, node, referenceUpdatesHash: hash, phase: PHASES[phase] };
}

/**
 * Adds fields by which the lines of other servers about a vote can be matched with those of its
 * call.
 */
function withCaller(options: { signal: AbortSignal }): ChannelCallOptions {
  const correlationId = runningCall()?.context.correlationId;
  return correlationId === undefined
    ? options
    : { ...options, metadata: { [CORRELATION_ID]: correlationId } };
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
