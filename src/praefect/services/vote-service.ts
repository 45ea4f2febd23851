import type { DescMethod, MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, messageOf, type StatusCode } from '#base/gitaly-error';
import { statusName } from '#base/go/status';
import { MessageQueue } from '#base/streams/message-queue';
import type { MethodLabels, MethodMetrics } from '#platform/metrics/grpc-metrics';
import { statusNumber } from '#rpc/common/status-code';
import { type HandlerContext, type ServedService, serve } from '#rpc/server/handler';
import { methodLabels } from '#rpc/server/interceptors/call-metrics';
import { type CastRequest, type CastResponseSchema, VoteService } from '#wire/gen/gitalyts/votes/v1/votes_pb';
import { RefTransaction } from '#wire/gen/transaction_pb';
import { type MethodInfo, methodInfo } from '#wire/method-info';
import { callFields } from '../coordinator/call-fields.ts';
import type { Transactions } from '../transactions/transactions.ts';
import { castVote, stopTransaction } from './cast-vote.ts';

type Response = MessageInitShape<typeof CastResponseSchema>;

/** A request of a stream, as the call that it replaces. */
interface CallKind {
  readonly method: MethodInfo;
  readonly metrics: MethodMetrics;
}

/** Limit of votes: more than the writes that a node can run. */
const MAX_VOTES = 10_000;

/**
 * All votes of a node of ours on one stream. Each is logged and counted as the call of
 * RefTransaction that it replaces.
 */
export function voteService(
  transactions: Transactions,
  metricsOf: (method: MethodLabels) => MethodMetrics,
): ServedService {
  const kindOf = (desc: DescMethod): CallKind => {
    const method = methodInfo(desc);
    return { method, metrics: metricsOf(methodLabels(method)) };
  };
  const kinds = {
    vote: kindOf(RefTransaction.method.voteTransaction),
    stop: kindOf(RefTransaction.method.stopTransaction),
  };
  return serve(VoteService, {
    cast(requests, context) {
      const votes = new StreamedVotes(transactions, kinds, context);
      void votes.read(requests);
      return votes.responses;
    },
  });
}

class StreamedVotes {
  readonly responses = new MessageQueue<Response>();
  readonly #transactions: Transactions;
  readonly #kinds: Readonly<Record<'stop' | 'vote', CallKind>>;
  readonly #context: HandlerContext;
  /** Undecided votes by their number; aborting one withdraws it. */
  readonly #undecided = new Map<number, AbortController>();
  #isRead = false;

  constructor(
    transactions: Transactions,
    kinds: Readonly<Record<'stop' | 'vote', CallKind>>,
    context: HandlerContext,
  ) {
    this.#transactions = transactions;
    this.#kinds = kinds;
    this.#context = context;
  }

  /** Casts the votes. The responses end with the last one; if the call breaks, all are withdrawn. */
  async read(requests: AsyncIterable<CastRequest>): Promise<void> {
    try {
      for await (const request of requests) {
        if (this.responses.size >= MAX_VOTES)
          throw new GitalyError('RESOURCE_EXHAUSTED', 'the node does not read the outcomes of its votes');
        this.#receive(request);
      }
      this.#isRead = true;
      if (this.#undecided.size === 0) this.responses.end();
    } catch (error) {
      for (const undecided of this.#undecided.values()) undecided.abort(error);
      this.responses.end(); // the call has its status
    }
  }

  #receive({ correlationId, id, request }: CastRequest): void {
    switch (request.case) {
      case 'vote': {
        const { method } = this.#kinds.vote;
        const caller = { correlationId: correlationId || this.#context.correlationId, method };
        const fields = callFields(caller, 'backchannel.PraefectServer');
        const vote = request.value;
        void this.#run(id, this.#kinds.vote, async (signal) => ({
          id,
          state: await castVote(this.#transactions, vote, { signal, callFields: fields }),
        }));
        break;
      }
      case 'stop':
        void this.#run(id, this.#kinds.stop, async () => {
          stopTransaction(this.#transactions, request.value);
          return { id };
        });
        break;
      case 'cancel':
        this.#undecided.get(id)?.abort(new GitalyError('CANCELLED', 'context canceled'));
        break;
      default:
        this.responses.push(failure(id, new GitalyError('UNIMPLEMENTED', 'unknown request')));
    }
  }

  async #run(id: number, kind: CallKind, call: (signal: AbortSignal) => Promise<Response>): Promise<void> {
    if (this.#undecided.size >= MAX_VOTES) {
      this.responses.push(failure(id, new GitalyError('RESOURCE_EXHAUSTED', 'too many votes are undecided')));
      return;
    }
    const undecided = new AbortController();
    this.#undecided.set(id, undecided);
    const response = await counted(kind.metrics, () => call(undecided.signal)).catch((error: unknown) =>
      failure(id, error),
    );
    this.#undecided.delete(id);
    if (!undecided.signal.aborted) this.responses.push(response);
    if (this.#isRead && this.#undecided.size === 0) this.responses.end();
  }
}

/** Runs a vote and counts it as a call. */
async function counted<T>(metrics: MethodMetrics, run: () => Promise<T>): Promise<T> {
  const startedAtMs = performance.now();
  metrics.started.inc();
  let code: StatusCode = 'OK';
  try {
    return await run();
  } catch (error) {
    code = error instanceof GitalyError ? error.code : 'INTERNAL';
    throw error;
  } finally {
    metrics.handled(statusName(code)).inc();
    metrics.handlingSeconds?.observe((performance.now() - startedAtMs) / 1000);
  }
}

function failure(id: number, error: unknown): Response {
  const code = statusNumber(error instanceof GitalyError ? error.code : 'INTERNAL');
  return { id, code, message: messageOf(error) };
}
