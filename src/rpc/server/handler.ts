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
import type { FeatureFlag } from '#platform/flags/feature-flags';
import type { Metadata } from '#rpc/common/metadata';
import type { MethodInfo } from '#wire/method-info';

/** Where a connection came from. */
export interface Peer {
  /** `internal` is the socket that only hooks and the server itself use. */
  readonly transport: 'unix' | 'tcp' | 'tls' | 'internal';
  /** `host:port`, or the path of a Unix socket, or empty for an unnamed one. */
  readonly address: string;
  /** Id of the reverse channel of this connection; `undefined` for a plain HTTP/2 connection. */
  readonly backchannelId: number | undefined;
}

/** Fields that a handler adds to the one access-log line of its call. A later value for the same key wins. */
export interface CallLog {
  add(fields: Readonly<Record<string, unknown>>): void;
}

/** What a handler may ask about feature flags: the value that came with the request, else the declared default. */
export interface CallFlags {
  isEnabled(flag: FeatureFlag): boolean;
}

/**
 * What a handler sees of its call besides the messages. All properties are made at first use, so a handler pays for what it reads.
 */
export interface HandlerContext {
  readonly method: MethodInfo;
  /**
   * Aborts when the client cancels or vanishes (reason: GitalyError CANCELLED `context canceled`), when the deadline passes
   * (DEADLINE_EXCEEDED `context deadline exceeded`) and at a hard stop of the server (UNAVAILABLE). Never aborts after the handler is done.
   */
  readonly signal: AbortSignal;
  /** The point in time after which the client no longer waits; `undefined` when it set none. */
  readonly deadline: Date | undefined;
  /** Metadata of the request as it came; treat as read-only. */
  readonly headers: Metadata;
  /** The client's `x-gitlab-correlation-id`, else a fresh one. */
  readonly correlationId: string;
  readonly peer: Peer;
  readonly log: CallLog;
  readonly flags: CallFlags;
  /** Metadata to send after the last message. */
  readonly trailers: Metadata;
  /** Opens the byte stream that the client offered with `gitaly-sidechannel-id`. Errors: transport spec, section 3. */
  openSidechannel(): Promise<Duplex>;
}

/** One request, one response. */
export type UnaryHandler<I extends DescMessage, O extends DescMessage> = (
  request: MessageShape<I>,
  context: HandlerContext,
) => Promise<MessageInitShape<O>> | MessageInitShape<O>;

/** One request, many responses. The transport pulls; `return()` of the iterator is called when the client is gone. */
export type ServerStreamHandler<I extends DescMessage, O extends DescMessage> = (
  request: MessageShape<I>,
  context: HandlerContext,
) => AsyncIterable<MessageInitShape<O>>;

/**
 * Many requests, one response. `requests` ends when the client half-closes and throws the signal's reason on abort. A handler
 * need not read to the end. Not reading makes the sender wait (HTTP/2 flow control).
 */
export type ClientStreamHandler<I extends DescMessage, O extends DescMessage> = (
  requests: AsyncIterable<MessageShape<I>>,
  context: HandlerContext,
) => Promise<MessageInitShape<O>>;

/** Many requests, many responses, independent of each other. */
export type BidiHandler<I extends DescMessage, O extends DescMessage> = (
  requests: AsyncIterable<MessageShape<I>>,
  context: HandlerContext,
) => AsyncIterable<MessageInitShape<O>>;

/** The handler type that fits a method descriptor. */
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

/** The handlers of one service, by the method's lower camel case name. A missing one answers UNIMPLEMENTED. */
export type ServiceImplementation<S extends DescService> = {
  readonly [M in keyof S['method']]?: HandlerFor<S['method'][M]>;
};

/** A service with its handlers, ready to be served. Make it with `serve`, which checks the pair. */
export interface ServedService {
  readonly service: DescService;
  /** By lower camel case name; `serve` has checked each against its method. */
  readonly implementation: Readonly<Record<string, unknown>>;
  /** True when the service answers without authentication (health). The authentication interceptor reads it. */
  readonly public: boolean;
}

/** Pairs a service with its handlers; the compiler checks that they fit. */
export function serve<S extends DescService>(
  service: S,
  implementation: ServiceImplementation<S>,
  options: { public?: boolean } = {},
): ServedService {
  return { service, implementation, public: options.public ?? false };
}
