import type { Metadata } from '#rpc/common/metadata';
import type { MethodInfo } from '#wire/method-info';
import type { HandlerContext, Peer } from './handler.ts';

/** Sees each request message after decoding and before the handler does. Throwing (or rejecting) ends the call with that error. */
export type RequestHook = (message: unknown, index: number) => void | Promise<void>;

/** One running RPC as interceptors see it. Byte counts are of message payloads (uncompressed, without the 5-byte prefix). */
export interface ServerCall {
  readonly context: HandlerContext;
  readonly method: MethodInfo;
  readonly headers: Metadata;
  readonly peer: Peer;
  /** True for services that answer without authentication. */
  readonly isPublic: boolean;
  /** `performance.now()` at the arrival of the request headers. */
  readonly startedAtMs: number;
  readonly requestMessages: number;
  readonly responseMessages: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** What the handler added with `context.log.add`. */
  readonly logFields: Readonly<Record<string, unknown>>;
  /** Adds a hook; hooks run in the order they were added. */
  onRequest(hook: RequestHook): void;
}

/**
 * Code around every call. `next()` runs the inner chain and the handler to the end of the RPC: it resolves after the last response
 * message was handed to the transport and rejects with what the handler threw. What the outermost interceptor throws is the status
 * sent to the client; a response of a unary call is only sent when none threw. Trailers may be added until the outermost returns.
 * An interceptor that does not call `next` must throw.
 */
export type ServerInterceptor = (call: ServerCall, next: () => Promise<void>) => Promise<void>;
