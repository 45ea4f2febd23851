import { codeOf, messageOf } from '#base/gitaly-error';
import { CallError } from '#client/call/call-error';
import { GIT_PROTOCOL_ERROR } from '#rpc/common/header-names';
import { UnknownRulesError } from '../required-rules.ts';
import type { Answer } from './answer.ts';

/** Message of a request that a limit refused. */
export const BUSY = 'The Git server is overloaded. Try again later.';

export const BUSY_ANSWER: Answer = { status: 503, text: BUSY, headers: { 'Retry-After': '1' } };

/** Also the response for a repository whose existence is not disclosed. */
export const NOT_FOUND: Answer = { status: 404, text: 'There is no such repository. Check the address.' };

const UNREADABLE: Answer = {
  status: 500,
  text:
    'The Git server may not read this repository. Its administrator must make the user of the server ' +
    'the owner of the files; "gitaly-ts doctor" names them.',
};

/** Reports whether the server was refused access to a repository's files, in the words of Gitaly. */
function isUnreadable(error: unknown): boolean {
  const message = messageOf(error);
  return message.startsWith('validate git directory: ') && message.endsWith(': permission denied');
}

/** Returns the HTTP response for a call that failed before the first byte of its response. */
export function failureAnswer(error: unknown): Answer {
  const limit = error instanceof CallError ? error.limit : undefined;
  if (limit !== undefined) {
    return {
      ...BUSY_ANSWER,
      headers: { 'Retry-After': String(Math.max(1, Math.ceil(limit.retryAfterMs / 1000))) },
    };
  }
  if (error instanceof UnknownRulesError) return { status: 501, text: error.message };
  const mistake = error instanceof CallError ? error.trailers.get(GIT_PROTOCOL_ERROR) : undefined;
  if (mistake !== undefined) return { status: 400, text: `git does not understand this request: ${mistake}` };
  if (isUnreadable(error)) return UNREADABLE;
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
      return { status: 501, text: 'The Git server does not support this.' };
    default:
      return { status: 500, text: 'The Git server failed. See its log for the reason.' };
  }
}
