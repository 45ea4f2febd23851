import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import { MessageQueue } from '#base/streams/message-queue';
import type { VoteOutcome, VoteRequest, VotingClient } from '#domain/transactions/voter';
import type { ChannelCall, ChannelCallOptions } from '#rpc/common/grpc/channel-call';
import type { GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { callable } from '#rpc/common/grpc/grpc-method';
import { cancellation } from '#rpc/common/grpc/outgoing-call';
import { CORRELATION_ID } from '#rpc/common/header-names';
import { statusCode } from '#rpc/common/status-code';
import type { Backchannels } from '#rpc/server/connection/backchannels';
import type { VotePhase } from '#storage/lifecycle/voter';
import { type CastRequestSchema, type CastResponse, VoteService } from '#wire/gen/gitalyts/votes/v1/votes_pb';
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

type Request = MessageInitShape<typeof CastRequestSchema>;

const CAST = callable(VoteService.method.cast);
/** Numbers of votes start again after this one. */
const MAX_ID = 0xffff_ffff;

/**
 * The stream on which this node casts its votes for a praefect that reads one: a message for a vote
 * and one for its outcome, where a call of its own needs headers, a log line and counters on both
 * sides. It ends with the connection.
 */
export class VoteStream {
  /** Settles when the stream carries no more votes. Never rejects. */
  readonly ended: Promise<void>;
  readonly #requests = new MessageQueue<Request>();
  readonly #waiting = new Map<number, PromiseWithResolvers<CastResponse>>();
  #lastId = 0;
  #end: unknown;

  constructor(channel: GrpcChannel) {
    this.ended = this.#read(channel.invoke(CAST, this.#requests));
  }

  /**
   * Casts a vote and waits for its outcome. @throws {GitalyError} the status of a vote that has
   *   none; CANCELLED, or the signal's reason, when it is aborted: the vote is withdrawn then.
   */
  async cast(vote: Omit<Request, '$typeName' | 'id'>, signal: AbortSignal): Promise<CastResponse> {
    if (signal.aborted) throw cancellation(signal);
    if (this.#end !== undefined) throw this.#end;
    this.#lastId = this.#lastId === MAX_ID ? 1 : this.#lastId + 1;
    const id = this.#lastId;
    const outcome = Promise.withResolvers<CastResponse>();
    const onAbort = (): void => {
      this.#requests.push({ id, request: { case: 'cancel', value: true } });
      outcome.reject(cancellation(signal));
    };
    this.#waiting.set(id, outcome);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      this.#requests.push({ ...vote, id });
      const response = await outcome.promise;
      if (response.code === 0) return response;
      throw new GitalyError(statusCode(response.code), response.message);
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#waiting.delete(id);
    }
  }

  async #read(call: ChannelCall<CastResponse>): Promise<void> {
    try {
      for await (const response of call) this.#waiting.get(response.id)?.resolve(response);
      this.#end = new GitalyError('UNAVAILABLE', 'the stream of votes has ended');
    } catch (error) {
      this.#end = error;
    }
    this.#requests.end();
    for (const { reject } of this.#waiting.values()) reject(this.#end);
  }
}
