import { codeOf } from '#base/gitaly-error';
import { CallError } from '#client/call/call-error';
import type { Answer } from './answer.ts';

/** Shown when a limit refused the request. */
export const BUSY = 'The Git server has too much to do for this request at the moment. Try again later.';

export const BUSY_ANSWER: Answer = { status: 503, text: BUSY, headers: { 'Retry-After': '1' } };

/** Also the answer for a repository whose existence is nobody's business. */
export const NOT_FOUND: Answer = { status: 404, text: 'There is no such repository. Check the address.' };

/** What the HTTP client is told when a call failed before the first byte of its answer. */
export function failureAnswer(error: unknown): Answer {
  const limit = error instanceof CallError ? error.limit : undefined;
  if (limit !== undefined) {
    return { ...BUSY_ANSWER, headers: { 'Retry-After': String(Math.max(1, Math.ceil(limit.retryAfterMs / 1000))) } };
  }
  switch (codeOf(error)) {
    case 'NOT_FOUND':
      return NOT_FOUND;
    case 'INVALID_ARGUMENT':
      return { status: 400, text: 'The Git server does not accept this request. Check the address.' };
    case 'PERMISSION_DENIED':
      return { status: 403, text: 'This is not allowed.' };
    case 'UNAVAILABLE':
      return {
        status: 503,
        text: 'The Git server is not available at this time. Try again in a moment.',
        headers: { 'Retry-After': '1' },
      };
    case 'RESOURCE_EXHAUSTED':
      return BUSY_ANSWER;
    case 'DEADLINE_EXCEEDED':
      return { status: 504, text: 'The Git server took too long. Try again.' };
    case 'UNIMPLEMENTED':
      return { status: 501, text: 'The Git server cannot do this.' };
    default:
      return { status: 500, text: 'The Git server failed. Its log says why.' };
  }
}
