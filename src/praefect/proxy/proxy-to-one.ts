import { GitalyError } from '#base/gitaly-error';
import { CallError, type Metadata, type ResponseStream } from '#client/index';
import type { Requests } from '#rpc/common/grpc/channel-call';
import type { HandlerContext } from '#rpc/server/handler';
import type { MethodInfo } from '#wire/method-info';
import type { ProxyPlan } from './proxy-plan.ts';
import { copyHeaders, copyTrailers } from './response-metadata.ts';

const DONE = { done: true, value: undefined } as const;

/**
 * Passes a call on to one node. The result is that of `proxyToAll`; without generators, a queue
 * and a signal it takes a fraction of the time, which counts for small reads.
 */
export class ProxyToOne implements AsyncIterator<Buffer, void> {
  readonly #method: MethodInfo;
  readonly #requests: AsyncIterator<Buffer>;
  readonly #plan: ProxyPlan;
  readonly #context: HandlerContext;
  #call: ResponseStream<Buffer> | undefined;
  #responses: AsyncIterator<Buffer, void> | undefined;
  #trailers: Metadata | undefined;
  #isWaiting = false;
  #isOver = false;

  /** @param requests the client's messages after the first. */
  constructor(method: MethodInfo, requests: AsyncIterator<Buffer>, plan: ProxyPlan, context: HandlerContext) {
    this.#method = method;
    this.#requests = requests;
    this.#plan = plan;
    this.#context = context;
  }

  /** @throws the node's error as it is. */
  async next(): Promise<IteratorResult<Buffer, void>> {
    if (this.#isOver) return DONE;
    this.#isWaiting = true;
    try {
      this.#responses ??= this.#start();
      const result = await this.#responses.next();
      if (result.done !== true) return result;
      if (this.#trailers !== undefined) copyTrailers(this.#trailers, this.#context);
    } catch (error) {
      // Rails adds up what calls cost, also of those that fail.
      if (error instanceof CallError) copyTrailers(error.trailers, this.#context);
      await this.#fail(error);
    } finally {
      this.#isWaiting = false;
    }
    if (!this.#isOver) {
      this.#isOver = true;
      await this.#plan.finish();
    }
    return DONE;
  }

  /** Ends the call because the client has gone. */
  async return(): Promise<IteratorResult<Buffer, void>> {
    this.#call?.cancel(this.#context.abortReason);
    // A waiting `next` fails now, and ends the call itself.
    if (!this.#isWaiting && !this.#isOver)
      await this.#fail(new GitalyError('CANCELLED', 'context canceled')).catch(() => {}); // no receiver
    return DONE;
  }

  #start(): AsyncIterator<Buffer, void> {
    const { deadline, abortReason } = this.#context;
    if (abortReason !== undefined) throw abortReason;
    const { firstFrame, metadata, node } = this.#plan.primary;
    this.#call = node.invokeRaw(this.#method, this.#frames(firstFrame), {
      metadata,
      onHeaders: (headers) => copyHeaders(headers, this.#context),
      onTrailers: (trailers) => {
        this.#trailers = trailers;
      },
      ...(deadline === undefined ? {} : { deadline }),
    });
    return this.#call[Symbol.asyncIterator]();
  }

  /** The end of the only message is sent with it. */
  #frames(first: Buffer): Requests<Buffer> {
    const { kind } = this.#method;
    return kind === 'unary' || kind === 'server_stream' ? [first] : startingWith(first, this.#requests);
  }

  /** @throws the error, unless the plan takes it. */
  async #fail(error: unknown): Promise<void> {
    const failure = this.#plan.primary.onError(error);
    if (failure === undefined) return;
    this.#isOver = true;
    await this.#plan.finish().catch(() => {}); // the client learns of the first failure
    throw failure;
  }
}

/** Yields a message before those of an iterator. */
function startingWith(first: Buffer, rest: AsyncIterator<Buffer>): AsyncIterableIterator<Buffer> {
  let isFirst = true;
  const messages: AsyncIterableIterator<Buffer> = {
    [Symbol.asyncIterator]: () => messages,
    next: async () => {
      if (!isFirst) return await rest.next();
      isFirst = false;
      return { done: false, value: first };
    },
    return: async () => (await rest.return?.()) ?? DONE,
  };
  return messages;
}
