import type { Duplex } from 'node:stream';
import type {
  DescMessage,
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';
import type { ChangeUser } from '#base/change-user';
import type { GitalyError } from '#base/gitaly-error';
import type { FeatureFlag } from '#platform/flags/feature-flags';
import type { Metadata } from '#rpc/common/metadata';
import type { MethodInfo } from '#wire/method-info';

/** Origin of a connection. */
export interface Peer {
  /** `internal` is the socket for hooks and the server itself. */
  readonly transport: 'unix' | 'tcp' | 'tls' | 'internal';
  /** `host:port`, or the path of a Unix socket, or empty for an unnamed one. */
  readonly address: string;
  /** Id of the reverse channel of this connection; `undefined` for a plain HTTP/2 connection. */
  readonly backchannelId: number | undefined;
  /** True for a client in this process. */
  readonly isLocal?: boolean;
}

/**
 * Fields that a handler adds to the access-log line of its call. A later value for the same key
 * replaces the earlier one.
 */
export interface CallLog {
  add(fields: Readonly<Record<string, unknown>>): void;
}

/** Feature flags of a call: the value from the request, or the declared default. */
export interface CallFlags {
  isEnabled(flag: FeatureFlag): boolean;
  /** Returns every flag of the request by its name, to pass on to calls of other servers. */
  sent(): ReadonlyMap<string, boolean>;
}

/**
 * A handler's view of its call, apart from the messages. Properties are created at first use, so a
 * handler pays only for those it reads.
 */
export interface HandlerContext {
  readonly method: MethodInfo;
  /**
   * Aborts when the client cancels or disconnects (reason: GitalyError CANCELLED `context
   * canceled`), when the deadline passes (DEADLINE_EXCEEDED `context deadline exceeded`) and at a
   * hard stop of the server (UNAVAILABLE). Never aborts after the handler is done.
   */
  readonly signal: AbortSignal;
  /** Reason of the signal, for those who have no other use for one; `undefined` before the abort. */
  readonly abortReason: GitalyError | undefined;
  /** The time after which the client no longer waits; `undefined` if it set none. */
  readonly deadline: Date | undefined;
  /** Metadata of the request; treat it as read-only. */
  readonly headers: Metadata;
  /** The client's `x-gitlab-correlation-id`, otherwise a new one. */
  readonly correlationId: string;
  readonly peer: Peer;
  /** The user in the request; set by handlers that change something for one. */
  user?: ChangeUser | undefined;
  readonly log: CallLog;
  readonly flags: CallFlags;
  /** Metadata to send before the first message. A call that fails without a message sends none. */
  readonly responseHeaders: Metadata;
  /** Metadata to send after the last message. */
  readonly trailers: Metadata;
  /**
   * Opens the byte stream that the client offered with `gitaly-sidechannel-id`. Errors: transport
   * spec, section 3.
   */
  openSidechannel(): Promise<Duplex>;
}

/** Returned by a handler with one response. */
export type ResponseOf<O extends DescMessage> = Promise<MessageInitShape<O>>;

/** Returned by a handler with a stream of responses. */
export type ResponsesOf<O extends DescMessage> = AsyncGenerator<MessageInitShape<O>>;

/** One request, one response. */
export type UnaryHandler<I extends DescMessage, O extends DescMessage> = (
  request: MessageShape<I>,
  context: HandlerContext,
) => ResponseOf<O> | MessageInitShape<O>;

/**
 * One request, many responses. The transport pulls, and calls `return()` of the iterator when the
 * client disconnects.
 */
export type ServerStreamHandler<I extends DescMessage, O extends DescMessage> = (
  request: MessageShape<I>,
  context: HandlerContext,
) => AsyncIterable<MessageInitShape<O>>;

/**
 * Many requests, one response. `requests` ends when the client half-closes, and throws the signal's
 * reason on abort. A handler need not read to the end; when it does not read, the sender waits
 * (HTTP/2 flow control).
 */
export type ClientStreamHandler<I extends DescMessage, O extends DescMessage> = (
  requests: AsyncIterable<MessageShape<I>>,
  context: HandlerContext,
) => ResponseOf<O>;

/** Many requests and many responses, independent of each other. */
export type BidiHandler<I extends DescMessage, O extends DescMessage> = (
  requests: AsyncIterable<MessageShape<I>>,
  context: HandlerContext,
) => AsyncIterable<MessageInitShape<O>>;

export type HandlerFor<M> =
  M extends DescMethodUnary<infer I, infer O>
    ? UnaryHandler<I, O>
    : M extends DescMethodServerStreaming<infer I, infer O>
      ? ServerStreamHandler<I, O>
      : M extends DescMethodClientStreaming<infer I, infer O>
        ? ClientStreamHandler<I, O>
        : M extends DescMethodBiDiStreaming<infer I, infer O>
          ? BidiHandler<I, O>
          : never;

/**
 * The handlers of one service, by the method's lower camel case name. A missing one returns
 * UNIMPLEMENTED.
 */
export type ServiceImplementation<S extends DescService> = {
  readonly [M in keyof S['method']]?: HandlerFor<S['method'][M]>;
};

/** The handlers of one service, each with what it depends on as a further parameter. */
export type HandlersOf<S extends DescService, Dependencies> = {
  readonly [M in keyof S['method']]: (
    ...given: [...Parameters<HandlerFor<S['method'][M]>>, deps: Dependencies]
  ) => ReturnType<HandlerFor<S['method'][M]>>;
};

/** A service with its handlers. Create it with `serve`, which checks the pair. */
export interface ServedService {
  readonly service: DescService;
  /** Handlers by lower camel case name; `serve` has checked each against its method. */
  readonly implementation: Readonly<Record<string, unknown>>;
  /**
   * True if the service needs no authentication (health). The authentication interceptor reads it.
   */
  readonly public: boolean;
}

/** Pairs a service with its handlers; the compiler checks that they match. */
export function serve<S extends DescService>(
  service: S,
  implementation: ServiceImplementation<S>,
  options: { public?: boolean } = {},
): ServedService {
  return { service, implementation, public: options.public ?? false };
}

/** Any of the handlers of a service: the types of its methods tell them apart. */
type BoundHandler<D> = (request: unknown, context: HandlerContext, deps: D) => unknown;

/** Pairs a service with its handlers, each of which gets what it depends on. */
export function serveWith<S extends DescService, D>(
  service: S,
  deps: D,
  handlers: Partial<HandlersOf<S, D>>,
): ServedService {
  const bound = Object.entries<BoundHandler<D>>({ ...(handlers as object) }).map(([name, handler]) => {
    const call = (request: unknown, context: HandlerContext) => handler(request, context, deps);
    return [name, call] as const;
  });
  // Each has the name and the types of its method.
  return serve(service, Object.fromEntries(bound) as ServiceImplementation<S>);
}
