import type { Invocation, Invoke, ResponseStream } from '#client/call/call-types';
import { Metadata } from '#rpc/common/metadata';

/**
 * Returns a transport that responds to every call with these messages, and the calls that it got.
 */
export function answeringInvoke(...messages: unknown[]): { invoke: Invoke; invocations: Invocation[] } {
  const invocations: Invocation[] = [];
  const invoke: Invoke = (invocation) => {
    invocations.push(invocation);
    const stream: ResponseStream<unknown> = {
      headers: Promise.resolve(Metadata.from()),
      trailers: Promise.resolve(Metadata.from()),
      cancel: () => {},
      async *[Symbol.asyncIterator]() {
        yield* messages;
      },
      [Symbol.asyncDispose]: async () => {},
    };
    return stream;
  };
  return { invoke, invocations };
}
