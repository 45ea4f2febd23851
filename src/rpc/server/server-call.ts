import type { GitalyError } from '#base/gitaly-error';
import type { Metadata } from '#rpc/common/metadata';
import type { MethodInfo } from '#wire/method-info';
import type { HandlerContext, Peer } from './handler.ts';
import type { NamedTargets } from './named-targets.ts';

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
  /** Unix time of the same moment, in milliseconds. */
  readonly arrivedAtMs: number;
  /** Unix time in milliseconds; `undefined` if the client set no deadline. */
  readonly deadlineMs: number | undefined;
  /** Names in the first request; `undefined` before it, and for opaque messages. */
  readonly targets: NamedTargets | undefined;
  readonly requestMessages: number;
  readonly responseMessages: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** Fields that the handler added with `context.log.add`. */
  readonly logFields: Readonly<Record<string, unknown>>;
  /**
   * Ends the call with an error, whatever its handler still waits for, and aborts the handler. A
   * change ends when its handler has stopped, or five seconds later: its marks and locks must not
   * end before it does.
   *
   * @returns false when the handler has ended already.
   */
  fail(error: GitalyError): boolean;
  /** Ends the call with an error, also while it waits for its handler. */
  cancel(error: GitalyError): void;
}

/**
 * The work of an interceptor for a call after its begin. A stage that keeps nothing about its call
 * serves all calls. A function returns a promise only if it waits: most calls create none.
 */
export interface CallStage {
  /**
   * Called with the first request after its decoding and before the handler gets it, outermost
   * first. Throwing (or rejecting) ends the call with that error.
   */
  request?(call: ServerCall): void | Promise<void>;
  /** Runs the inner stages and the handler, in an asynchronous context of this stage. */
  within?(run: () => void): void;
  /**
   * Called at the end, innermost first: after the last response message was passed to the
   * transport, or with the error that ended the call. What it throws replaces that error; what the
   * outermost stage leaves is the status for the client. The response of a unary call is sent only
   * if none threw. Trailers may be added.
   */
  end?(call: ServerCall, failure: unknown): void | Promise<void>;
}

/**
 * Begins a call, outermost first. Throwing (or rejecting) ends the call with that error, which the
 * stages that have started see. Without a stage the interceptor has nothing more to do with the
 * call.
 */
export type ServerInterceptor = (call: ServerCall) => CallStage | undefined | Promise<CallStage | undefined>;
