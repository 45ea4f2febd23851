import { GitalyError, type StatusCode } from '../gitaly-error.ts';

/** Returns the name of a status (`NotFound`), as used in log lines and metric labels. */
export function statusName(code: StatusCode): string {
  if (code === 'OK') return 'OK';
  if (code === 'CANCELLED') return 'Canceled';
  return code
    .toLowerCase()
    .split('_')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');
}

/** Returns a failed call as Go prints it: `rpc error: code = NotFound desc = …`. */
export function statusText(code: StatusCode, message: string): string {
  return `rpc error: code = ${statusName(code)} desc = ${message}`;
}

/**
 * Gives the error of a call to another server the text that Go prints for it, which Gitaly's
 * messages quote. Code and details are unchanged.
 */
export function asGoStatus(error: unknown): unknown {
  if (!(error instanceof GitalyError)) return error;
  const { code, details, message, metadata } = error;
  return new GitalyError(code, statusText(code, message), { cause: error, details, metadata });
}
