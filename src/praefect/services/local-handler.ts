import {
  create,
  type DescMessage,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import { decodeError } from '#rpc/server/call/decode-error';
import type { HandlerContext } from '#rpc/server/handler';
import { addTargetFacts, collectFacts } from '#rpc/server/interceptors/caller-facts';
import { namedTargets } from '#rpc/server/named-targets';
import type { RawHandler } from '#rpc/server/route';
import { methodInfo } from '#wire/method-info';

/** Handlers of methods that other Gitalys serve and that are answered here, by path. */
export type LocalHandlers = ReadonlyMap<string, RawHandler>;

/** Returns a handler of a method with one response. */
export function answerLocally<I extends DescMessage, O extends DescMessage>(
  method: DescMethodUnary<I, O>,
  run: (request: MessageShape<I>, context: HandlerContext) => Promise<MessageInitShape<O>>,
): readonly [path: string, handler: RawHandler] {
  return handle<I, O>(method, async function* (request, context) {
    yield await run(request, context);
  });
}

/** Returns a handler of a method with many responses. */
export function answerStream<I extends DescMessage, O extends DescMessage>(
  method: DescMethodServerStreaming<I, O>,
  run: (request: MessageShape<I>, context: HandlerContext) => AsyncIterable<MessageInitShape<O>>,
): readonly [path: string, handler: RawHandler] {
  return handle<I, O>(method, run);
}

function handle<I extends DescMessage, O extends DescMessage>(
  method: DescMethodUnary<I, O> | DescMethodServerStreaming<I, O>,
  run: (request: MessageShape<I>, context: HandlerContext) => AsyncIterable<MessageInitShape<O>>,
): readonly [path: string, handler: RawHandler] {
  const info = methodInfo(method);
  return [
    info.path,
    async function* (requests, context) {
      const { value, done } = await requests[Symbol.asyncIterator]().next();
      if (done) throw new GitalyError('INTERNAL', 'EOF');
      const request = decode(method.input, value);
      const targets = namedTargets(info, request);
      context.log.add(collectFacts((facts) => addTargetFacts(facts, { targets })));
      for await (const response of run(request, context))
        yield toBinary(method.output, create(method.output, response));
    },
  ];
}

function decode<I extends DescMessage>(input: I, payload: Uint8Array): MessageShape<I> {
  try {
    return fromBinary(input, payload, { readUnknownFields: false });
  } catch (error) {
    throw decodeError(error);
  }
}
