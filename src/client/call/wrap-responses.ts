import type { ResponseStream } from './call-types.ts';

/**
 * The same call with other responses, for interceptors that look at, change or count what comes back. `wrap` is given the responses
 * and makes those that the caller sees; an error of the call is thrown inside it, and leaving its loop early cancels the call.
 */
export function wrapResponses<O>(
  call: ResponseStream<O>,
  wrap: (responses: AsyncIterable<O>) => AsyncIterable<O>,
): ResponseStream<O> {
  return {
    get headers() {
      return call.headers;
    },
    get trailers() {
      return call.trailers;
    },
    cancel: (reason) => call.cancel(reason),
    [Symbol.asyncDispose]: () => call[Symbol.asyncDispose](),
    [Symbol.asyncIterator]: () => wrap(call)[Symbol.asyncIterator](),
  };
}
