import { codeOf, GitalyError, messageOf, withCode } from '#base/gitaly-error';
import type { ServerInterceptor } from '../server-call.ts';

/** The client's text of an ABORTED error; the original text is logged (Gitaly since 18). */
export const ABORTED_TEXT = 'The operation could not be completed. Please try again.';

/**
 * Gives every error that leaves a handler a code. If the call's own context has ended (cancelled,
 * deadline passed), its code is used instead of the handler's error. An error without a code is
 * INTERNAL. The message is kept.
 */
export const mapStatus: ServerInterceptor = async (call, next) => {
  try {
    await next();
  } catch (error) {
    const ended = call.context.signal.aborted ? codeOf(call.context.signal.reason) : undefined;
    if (ended !== 'CANCELLED' && ended !== 'DEADLINE_EXCEEDED') throw withCode(error, 'INTERNAL');
    throw withForcedCode(error, ended);
  }
};

/**
 * Replaces the message of ABORTED errors by a sentence for people, and keeps the original as a fact
 * for the log.
 */
export const rewriteAborted: ServerInterceptor = async (_call, next) => {
  try {
    await next();
  } catch (error) {
    if (!(error instanceof GitalyError) || error.code !== 'ABORTED') throw error;
    throw new GitalyError('ABORTED', ABORTED_TEXT, {
      cause: error,
      details: error.details,
      metadata: { ...error.metadata, error_details: error.message },
    });
  }
};

function withForcedCode(error: unknown, code: 'CANCELLED' | 'DEADLINE_EXCEEDED'): GitalyError {
  const known = error instanceof GitalyError ? error : undefined;
  if (known?.code === code) return known;
  return new GitalyError(code, messageOf(error), {
    cause: error,
    details: known?.details ?? [],
    metadata: known?.metadata ?? {},
  });
}
