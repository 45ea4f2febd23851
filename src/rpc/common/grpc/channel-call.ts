import type { GitalyError } from '#base/gitaly-error';
import type { Metadata, MetadataInit } from '../metadata.ts';

/**
 * Options of one call on a GrpcChannel: the parts that are sent with it. The client's `CallOptions`
 * (`client/call/call-types.ts`) belong to a call that waits for a connection and is retried.
 */
export interface ChannelCallOptions {
  /**
   * Cancels the call (RST_STREAM CANCEL); iterating throws CANCELLED, or the reason when that is a
   * GitalyError.
   */
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  /** If `timeoutMs` is set too, the earlier one applies. */
  readonly deadline?: Date;
  readonly metadata?: MetadataInit;
  /** Called once, when the response headers arrive; they may be trailers. */
  readonly onHeaders?: (headers: Metadata) => void;
  /** Called once, at the end of the call. Empty if the server sent none. */
  readonly onEnd?: (trailers: Metadata, failure: GitalyError | undefined) => void;
}

/**
 * A running call on one channel; it is never retried. Iterating yields the responses and throws a
 * GitalyError with the status' code and details; leaving the loop early cancels the call. Iterate
 * once. A call that is not iterated must be cancelled or disposed.
 */
export interface ChannelCall<O> extends AsyncIterable<O>, AsyncDisposable {
  /** Initial metadata; empty if the call ended without. Never rejects. */
  readonly headers: Promise<Metadata>;
  /** Metadata after the last message; empty if the call was interrupted. Never rejects. */
  readonly trailers: Promise<Metadata>;
  cancel(reason?: GitalyError): void;
}

/**
 * Messages to send: all at once (an array is the cheapest), or as they become available. They are
 * pulled only while the peer reads.
 */
export type Requests<T> = Iterable<T> | AsyncIterable<T>;
