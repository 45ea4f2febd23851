import type { GitalyError } from '#base/gitaly-error';
import type { Metadata } from '#rpc/common/metadata';
import type { MethodInfo } from '#wire/method-info';
import type { HandlerContext, Peer } from './handler.ts';

/**
 * Called with each request message after decoding and before the handler. Throwing (or rejecting)
 * ends the call with that error.
 */
export type RequestHook = (message: unknown, index: number) => void | Promise<void>;

/**
 * One running RPC from the view of interceptors. Byte counts are of message payloads (uncompressed,
 * without the 5-byte prefix).
 */
export interface ServerCall {
  readonly context: HandlerContext;
  readonly method: MethodInfo;
  readonly headers: Metadata;
  readonly peer: Peer;
  /** True for services without authentication. */
  readonly isPublic: boolean;
  /** `performance.now()` at the arrival of the request headers. */
  readonly startedAtMs: number;
  readonly requestMessages: number;
  readonly responseMessages: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** Fields that the handler added with `context.log.add`. */
  readonly logFields: Readonly<Record<string, unknown>>;
  /** Adds a hook. Hooks run in the order they were added. */
  onRequest(hook: RequestHook): void;
  /**
   * Ends the call with an error now, whatever its handler still waits for, and aborts the handler.
   *
   * @returns false when the handler has ended already.
   */
  fail(error: GitalyError): boolean;
}

/**
 * Code around every call. `next()` runs the inner chain and the handler to the end of the RPC: it
 * resolves after the last response message was passed to the transport, and rejects with the
 * handler's error. The error of the outermost interceptor is the status sent to the client. The
 * response of a unary call is sent only if none threw. Trailers may be added until the outermost
 * interceptor returns. An interceptor that does not call `next` must throw.
 */
export type ServerInterceptor = (call: ServerCall, next: () => Promise<void>) => Promise<void>;
