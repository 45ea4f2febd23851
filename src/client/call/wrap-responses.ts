import type { ResponseStream } from './call-types.ts';
import { ForwardedCall } from './forwarded-call.ts';

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

class WrappedCall<O> extends ForwardedCall<O> {
  readonly #wrap: (responses: AsyncIterable<O>) => AsyncIterable<O>;

  constructor(call: ResponseStream<O>, wrap: (responses: AsyncIterable<O>) => AsyncIterable<O>) {
    super(call);
    this.#wrap = wrap;
  }

  [Symbol.asyncIterator](): AsyncIterator<O, void> {
    return this.#wrap(this.call)[Symbol.asyncIterator]();
  }
}
