import type { DescMessage, MessageInitShape } from '@bufbuild/protobuf';
import type { Metadata, MetadataInit } from '#rpc/common/metadata';
import type { MethodInfo } from '#wire/method-info';

/** What a caller may say about one call. */
export interface CallOptions {
  /** Ends the call: it fails with CANCELLED, cause = the signal's reason. */
  readonly signal?: AbortSignal;
  /** The call fails with DEADLINE_EXCEEDED after this long. The server is told. The earlier of this and `deadline` counts. */
  readonly timeoutMs?: number;
  readonly deadline?: Date;
  /** Added to the connection's own metadata; a key given here replaces the connection's. */
  readonly metadata?: MetadataInit;
  /** Flag name (`find_all_tags`, dashes or underscores) → on or off. */
  readonly featureFlags?: Readonly<Record<string, boolean>>;
  readonly correlationId?: string;
  /** Called once, when the server's headers arrive. */
  readonly onHeaders?: (headers: Metadata) => void;
  /** Called once, at the end of a call that got an answer. */
  readonly onTrailers?: (trailers: Metadata) => void;
}

/** Requests of a call, in order. They are taken from the iterable no faster than the server reads. */
export type Requests<I> = Iterable<I> | AsyncIterable<I>;

/** Requests in the form that a caller writes them: plain objects. */
export type RequestsOf<I extends DescMessage> = Requests<MessageInitShape<I>>;

/**
 * A call under way, seen from the caller: iterating gives the responses and throws `CallError`. Leaving the loop early, `cancel` or
 * disposing ends the call.
 */
export interface ResponseStream<O> extends AsyncIterable<O>, AsyncDisposable {
  /** Response headers. Rejects when the call fails before there are any. */
  readonly headers: Promise<Metadata>;
  /** Trailers, which come with the status. Rejects when the call fails without an answer. */
  readonly trailers: Promise<Metadata>;
  cancel(reason?: unknown): void;
}

/** One call before it is started; interceptors see it and may replace parts of it. */
export interface Invocation {
  readonly method: MethodInfo;
  readonly requests: Requests<unknown>;
  readonly options: CallOptions;
}

export type Invoke = (invocation: Invocation) => ResponseStream<unknown>;

/**
 * Stands between the caller and the wire, for all four kinds of calls. It may change the invocation, answer by itself, or wrap
 * the responses of `next`. The first of a list is the outermost; repeated attempts of one call are inside.
 */
export type Interceptor = (invocation: Invocation, next: Invoke) => ResponseStream<unknown>;

/** Metadata computed anew for each call. */
export interface CallCredentials {
  metadata(): MetadataInit;
}
