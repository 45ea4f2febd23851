import { GitalyError } from '#base/gitaly-error';
import type { Lookup } from './lookup.ts';

/**
 * Matches git's error for an empty object file. Newer versions of git treat it as missing; older
 * ones die when they follow it.
 */
const EMPTY_OBJECT = /^error: object file .* is empty$/m;
/** Matches errors of a git that did not begin. */
const REFUSED =
  /^fatal: (?:not a git repository|bad config |Expected git repo version|unknown repository extension)/m;

/** Reports whether git found the repository unusable, rather than an object in it. */
export function isRefusal(stderr: string): boolean {
  return REFUSED.test(stderr);
}

/** Fails a lookup with the error of its dead process. */
export function settleDead(lookup: Lookup, stderr: string): void {
  if (EMPTY_OBJECT.test(stderr)) lookup.resolve(undefined);
  else lookup.reject(deadError(stderr));
}

/**
 * Returns the error of a lookup whose process died. The text is Gitaly's, which reaches clients
 * after the prefix of their RPC.
 */
export function deadError(stderr: string): GitalyError {
  const message = isRefusal(stderr) ? 'flushing: write |1: broken pipe' : 'read info line: EOF';
  return new GitalyError('UNKNOWN', message, { metadata: { stderr } });
}
