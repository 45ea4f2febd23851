import { CallError } from '#client/index';

/** Number of attempts of a call whose nodes stop before they respond. */
export const MAX_ATTEMPTS = 3;

/** Reports whether a read ended because its node has gone or stops: another one may take it. */
export function hasGone(error: unknown): boolean {
  return error instanceof CallError && error.code === 'UNAVAILABLE' && error.retryable && !error.limit;
}

/** Reports whether a node has not seen the call. */
export function wasNotProcessed(error: unknown): boolean {
  if (!(error instanceof CallError) || !error.retryable) return false;
  return error.metadata.unsent === true || error.metadata.unprocessed === true;
}
