import type {
  DescMessage,
  DescMethod,
  DescService,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import type { Requests } from '#rpc/common/grpc/channel-call';
import type { SSHService } from '#wire/gen/ssh_pb';
import { type MethodInfo, methodInfo } from '#wire/method-info';
import type { CallOptions, Invoke, RequestsOf, ResponseStream } from './call-types.ts';
import { checkFields, checkOptions } from './check-call.ts';

/** One request, one response. */
export type UnaryCall<I extends DescMessage, O extends DescMessage> = (
  request: MessageInitShape<I>,
  options?: CallOptions,
) => Promise<MessageShape<O>>;

/** One request, a stream of responses. */
export type ServerStreamCall<I extends DescMessage, O extends DescMessage> = (
  request: MessageInitShape<I>,
  options?: CallOptions,
) => ResponseStream<MessageShape<O>>;

/** A stream of requests, one response. */
export type ClientStreamCall<I extends DescMessage, O extends DescMessage> = (
  requests: RequestsOf<I>,
  options?: CallOptions,
) => Promise<MessageShape<O>>;

/** Two independent streams. */
export type BidiCall<I extends DescMessage, O extends DescMessage> = (
  requests: RequestsOf<I>,
  options?: CallOptions,
) => ResponseStream<MessageShape<O>>;

/** The function type for calls of a method. */
export type CallOf<M> = M extends {
  methodKind: infer K;
  input: infer I extends DescMessage;
  output: infer O extends DescMessage;
}
  ? K extends 'unary'
    ? UnaryCall<I, O>
    : K extends 'server_streaming'
      ? ServerStreamCall<I, O>
      : K extends 'client_streaming'
        ? ClientStreamCall<I, O>
        : BidiCall<I, O>
  : never;

/**
 * All methods of a service as functions, named after the RPC in camel case, with its
 * documentation.
 */
export type ClientOf<S extends { readonly method: object }> = S extends typeof SSHService
  ? SshClient
  : // Without `as`: editors show the comments of a property only if it keeps its name.
    { readonly [M in keyof S['method']]: CallOf<S['method'][M]> };

type SshCall<M extends keyof (typeof SSHService)['method']> = CallOf<(typeof SSHService)['method'][M]>;

/** The generated names of this service begin with `sSH`; ours with `ssh`. */
interface SshClient {
  /**
   * Serves a fetch with the data in messages, at most 128 KiB each. The first request has no stdin.
   * `uploadPack` is this call with streams. Until 16.7.
   */
  readonly sshUploadPack: SshCall<'sSHUploadPack'>;
  /**
   * Serves a fetch with the data on a sidechannel. `uploadPackWithSidechannel` opens one and calls
   * this.
   */
  readonly sshUploadPackWithSidechannel: SshCall<'sSHUploadPackWithSidechannel'>;
  /**
   * Serves a push. The first request has everything but stdin. A push that hooks refuse is still
   * OK: the refusal is in git's own report. `receivePack` is this call with streams.
   */
  readonly sshReceivePack: SshCall<'sSHReceivePack'>;
  /**
   * Serves `git archive --remote`. The first request has no stdin; the last message has the exit
   * status. `uploadArchive` is this call with streams.
   */
  readonly sshUploadArchive: SshCall<'sSHUploadArchive'>;
}

/** A service as described by generated code. */
export type ServiceDescriptor = Pick<DescService, 'methods' | 'typeName'> & { readonly method: object };

/** An object on which calls can be made: a connection. */
export interface ServiceCaller {
  /** Returns the functions of a generated service. */
  client<S extends ServiceDescriptor>(service: S): ClientOf<S>;
}

/** Creates the functions of a service. `invoke` starts one call. */
export function createClient<S extends ServiceDescriptor>(service: S, invoke: Invoke): ClientOf<S> {
  const functions = service.methods.map(
    (method) => [callName(method), createCall(methodInfo(method), invoke)] as const,
  );
  // Names and shapes come from the descriptor from which the type is computed.
  return Object.freeze(Object.fromEntries(functions)) as ClientOf<S>;
}

/** Returns the name of a method's function. */
export function callName(method: Pick<DescMethod, 'name'>): string {
  return method.name.replace(/^(?:[A-Z]+(?=[A-Z][a-z])|[A-Z])/, (head) => head.toLowerCase());
}

function createCall(method: MethodInfo, invoke: Invoke): unknown {
  const start = (requests: Requests<unknown>, options: CallOptions = {}): ResponseStream<unknown> => {
    checkOptions(method.name, options);
    return invoke({ method, requests: checked(method, requests), options });
  };
  switch (method.kind) {
    case 'unary':
      return (request: unknown, options?: CallOptions) => onlyResponse(() => start([request], options));
    case 'server_stream':
      return (request: unknown, options?: CallOptions) => start([request], options);
    case 'client_stream':
      return (requests: Requests<unknown>, options?: CallOptions) =>
        onlyResponse(() => start(requests, options));
    case 'bidi_stream':
      return start;
  }
}

/** Checks requests: those of a list now, those of a stream when they are read. */
function checked({ name, input }: MethodInfo, requests: Requests<unknown>): Requests<unknown> {
  if (!Array.isArray(requests)) return checkedStream(name, input, requests);
  for (const request of requests) checkFields(name, input, request);
  return requests;
}

/**
 * Returns requests that are checked when they are read. It is no generator, because the `return` of
 * one would wait while its source waits.
 */
function checkedStream(
  name: string,
  input: DescMessage,
  requests: Requests<unknown>,
): AsyncIterable<unknown, void> {
  return {
    [Symbol.asyncIterator]() {
      const source =
        Symbol.asyncIterator in requests ? requests[Symbol.asyncIterator]() : requests[Symbol.iterator]();
      const close = async (): Promise<IteratorResult<unknown, void>> => {
        await source.return?.();
        return { done: true, value: undefined };
      };
      return {
        async next() {
          const result = await source.next();
          if (result.done === true) return { done: true, value: undefined };
          try {
            checkFields(name, input, result.value);
          } catch (error) {
            await close();
            throw error;
          }
          return result;
        },
        return: close,
      };
    },
  };
}

/**
 * Returns the only response. It is async so that a misspelt name and an exception of an interceptor
 * become a rejection.
 */
async function onlyResponse(start: () => ResponseStream<unknown>): Promise<unknown> {
  const stream = start();
  const responses = stream[Symbol.asyncIterator]();
  const response = await responses.next();
  if (response.done === true) throw new GitalyError('INTERNAL', 'cardinality violation: no response');
  const end = await responses.next();
  if (end.done === true) return response.value;
  stream.cancel();
  throw new GitalyError('INTERNAL', 'cardinality violation: more than one response');
}
