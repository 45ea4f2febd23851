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
