import { AssertionError } from 'node:assert';
import { GitalyError, messageOf } from '#base/gitaly-error';
import type { CallStage, ServerCall, ServerInterceptor } from '../server-call.ts';

export interface RecoverExceptionsOptions {
  /** Receives an exception that no code expected, once for its call. */
  readonly onException: (call: ServerCall, exception: Error) => void;
}

/** Thrown by mistakes of a program, and by little else. */
const MISTAKES = [TypeError, RangeError, ReferenceError, SyntaxError, AssertionError] as const;

/**
 * Ends a call whose handler failed by a mistake in its code with INTERNAL `panic: …`, as Gitaly
 * does, and reports the exception. Errors that handlers throw on purpose pass.
 */
export function recoverExceptions({ onException }: RecoverExceptionsOptions): ServerInterceptor {
  const stage: CallStage = {
    end(call, failure) {
      const exception = exceptionIn(failure);
      if (exception === undefined) return;
      onException(call, exception);
      throw panicError(exception);
    },
  };
  return () => stage;
}

/** Returns the error that a call ends with after an exception. */
export function panicError(exception: unknown): GitalyError {
  return new GitalyError('INTERNAL', `panic: ${messageOf(exception)}`, { cause: exception });
}

/**
 * Returns the exception behind an error: the error itself, or what it wraps. An error with its own
 * text was thrown on purpose.
 */
function exceptionIn(error: unknown): Error | undefined {
  let inner = error;
  while (inner instanceof GitalyError && inner.message.endsWith(messageOf(inner.cause))) inner = inner.cause;
  return MISTAKES.some((mistake) => inner instanceof mistake) ? (inner as Error) : undefined;
}
