import type { DescMessage, MessageInitShape } from '@bufbuild/protobuf';
import type { Requests } from '#rpc/common/grpc/channel-call';
import type { Metadata, MetadataInit } from '#rpc/common/metadata';
import type { MethodInfo } from '#wire/method-info';

/** Options of one call. */
export interface CallOptions {
  /** Aborts the call: it fails with CANCELLED, and the signal's reason is the cause. */
  readonly signal?: AbortSignal;
  /**
   * Timeout after which the call fails with DEADLINE_EXCEEDED. The server receives it. The earlier
   * of this and `deadline` applies.
   */
  readonly timeoutMs?: number;
  readonly deadline?: Date;
  /** Metadata added to the connection's; a key given here replaces the connection's. */
  readonly metadata?: MetadataInit;
  /** Flag name (`find_all_tags`, dashes or underscores) → on or off. */
  readonly featureFlags?: Readonly<Record<string, boolean>>;
  readonly correlationId?: string;
  /** Called once, when the server's headers arrive. */
  readonly onHeaders?: (headers: Metadata) => void;
  /** Called once, at the end of a call that received a response. */
  readonly onTrailers?: (trailers: Metadata) => void;
}

/** Requests as a caller writes them: plain objects. */
export type RequestsOf<I extends DescMessage> = Requests<MessageInitShape<I>>;

/**
 * A running call: iterating yields the responses and throws `CallError`. Leaving the loop early,
 * `cancel` or disposing ends the call.
 */
export interface ResponseStream<O> extends AsyncIterable<O>, AsyncDisposable {
  /** Response headers. Rejects if the call fails before they arrive. */
  readonly headers: Promise<Metadata>;
  /** Trailers, which come with the status. Rejects if the call fails without a response. */
  readonly trailers: Promise<Metadata>;
  cancel(reason?: unknown): void;
}

/** A call before it is started. Interceptors receive it and may replace parts of it. */
export interface Invocation {
  readonly method: MethodInfo;
  readonly requests: Requests<unknown>;
  readonly options: CallOptions;
  /** True if requests and responses are encoded messages, which are passed on as they are. */
  readonly isRaw?: boolean;
}

export type Invoke = (invocation: Invocation) => ResponseStream<unknown>;

/**
 * Code around a call of any kind. It may change the invocation, respond itself, or wrap the
 * responses of `next`. The first of a list is the outermost; retries of a call happen inside.
 */
export type Interceptor = (invocation: Invocation, next: Invoke) => ResponseStream<unknown>;

/** Metadata that is computed for each call. */
export interface CallCredentials {
  metadata(): MetadataInit;
}
