import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import { MessageQueue } from '#base/streams/message-queue';
import type { ChannelCall } from '#rpc/common/grpc/channel-call';
import type { GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { callable } from '#rpc/common/grpc/grpc-method';
import { cancellation } from '#rpc/common/grpc/outgoing-call';
import { statusCode } from '#rpc/common/status-code';
import { type CastRequestSchema, type CastResponse, VoteService } from '#wire/gen/gitalyts/votes/v1/votes_pb';

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
