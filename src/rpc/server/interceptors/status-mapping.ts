import { codeOf, GitalyError, messageOf, withCode } from '#base/gitaly-error';
import { MissingRequestError } from '../call/missing-request-error.ts';
import type { CallStage, ServerInterceptor } from '../server-call.ts';

/** The client's text of an ABORTED error; the original text is logged (Gitaly since 18). */
export const ABORTED_TEXT = 'The operation could not be completed. Please try again.';

/**
 * Gives every error that leaves a handler a code. If the call's own context has ended (cancelled,
 * deadline passed), its code is used instead of the handler's error. An error without a code is
 * INTERNAL. The message is kept.
 */
export const mapStatus: ServerInterceptor = () => MAPPING;

const MAPPING: CallStage = {
  end({ context }, failure) {
    if (failure === undefined || failure instanceof MissingRequestError) return;
    const ended = context.signal.aborted ? codeOf(context.signal.reason) : undefined;
    if (ended !== 'CANCELLED' && ended !== 'DEADLINE_EXCEEDED') throw withCode(failure, 'INTERNAL');
    throw withForcedCode(failure, ended);
  },
};

/**
 * Replaces the message of ABORTED errors by a sentence for people, and keeps the original as a fact
 * for the log.
 */
export const rewriteAborted: ServerInterceptor = () => REWRITING;

const REWRITING: CallStage = {
  end(_call, failure) {
    if (!(failure instanceof GitalyError) || failure.code !== 'ABORTED') return;
    throw new GitalyError('ABORTED', ABORTED_TEXT, {
      cause: failure,
      details: failure.details,
      metadata: { ...failure.metadata, error_details: failure.message },
    });
  },
};

function withForcedCode(error: unknown, code: 'CANCELLED' | 'DEADLINE_EXCEEDED'): GitalyError {
  const known = error instanceof GitalyError ? error : undefined;
  if (known?.code === code) return known;
  return new GitalyError(code, messageOf(error), {
    cause: error,
    ...(known && { details: known.details, metadata: known.metadata }),
  });
}
