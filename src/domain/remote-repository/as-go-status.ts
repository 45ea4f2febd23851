import { GitalyError, messageOf } from '#base/gitaly-error';
import { statusText } from '#base/go/status';

/**
 * Gives the error of a call to another server the text that Go prints for it, which Gitaly's
 * messages quote. Code and details stay.
 */
export function asGoStatus(error: unknown): unknown {
  if (!(error instanceof GitalyError)) return error;
  const { code, details, metadata } = error;
  return new GitalyError(code, statusText(code, messageOf(error)), { cause: error, details, metadata });
}
