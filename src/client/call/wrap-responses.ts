import type { Metadata } from '#rpc/common/metadata';
import type { ResponseStream } from './call-types.ts';

/**
 * Returns the same call with other responses, for interceptors that inspect, change or count
 * responses. `wrap` receives the responses and yields those for the caller. An error of the call is
 * thrown inside it, and leaving its loop early cancels the call.
 */
export function wrapResponses<O>(
  call: ResponseStream<O>,
  wrap: (responses: AsyncIterable<O>) => AsyncIterable<O>,
): ResponseStream<O> {
  return new WrappedCall(call, wrap);
}

/** A class, because an object with its own functions takes 1.5 KB for each call. */
class WrappedCall<O> implements ResponseStream<O> {
  readonly #call: ResponseStream<O>;
  readonly #wrap: (responses: AsyncIterable<O>) => AsyncIterable<O>;

  constructor(call: ResponseStream<O>, wrap: (responses: AsyncIterable<O>) => AsyncIterable<O>) {
    this.#call = call;
    this.#wrap = wrap;
  }

  get headers(): Promise<Metadata> {
    return this.#call.headers;
  }

  get trailers(): Promise<Metadata> {
    return this.#call.trailers;
  }

  cancel(reason?: unknown): void {
    this.#call.cancel(reason);
  }

  [Symbol.asyncIterator](): AsyncIterator<O> {
    return this.#wrap(this.#call)[Symbol.asyncIterator]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#call[Symbol.asyncDispose]() as Promise<void>;
  }
}
