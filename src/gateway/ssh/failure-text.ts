import { codeOf, messageOf } from '#base/gitaly-error';
import { CallError } from '#client/call/call-error';

/**
 * gitlab-shell's texts (spec of its clients: `internal/command`), which people and scripts search
 * for.
 */
const TOO_BUSY = 'GitLab is currently unable to handle this request due to load.';
const NOT_AVAILABLE =
  'The git server, Gitaly, is not available at this time. Please contact your administrator.';
const NO_REPOSITORY = 'There is no such repository. Check the address.';

/** Gitaly's texts for a client that has ended a conversation, and has its own reason. */
const CLIENT_GAVE_UP = /user canceled the (?:request|push)$/;

const RULER = '='.repeat(72);

/**
 * Returns the text for standard error after a failed call; `undefined` if git has already printed
 * it.
 */
export function failureText(error: unknown): string | undefined {
  if (error instanceof CallError && error.limit !== undefined) return framed(TOO_BUSY);
  switch (codeOf(error)) {
    case 'UNAVAILABLE':
      return framed(NOT_AVAILABLE);
    case 'NOT_FOUND':
      return framed(NO_REPOSITORY);
    case 'INTERNAL':
      return undefined;
    case 'CANCELLED':
      return CLIENT_GAVE_UP.test(messageOf(error)) ? undefined : framed(messageOf(error));
    default:
      return framed(messageOf(error));
  }
}

/** Formats a message as git shows those of a server, between rulers as in gitlab-shell. */
export function framed(message: string): string {
  return ['', RULER, '', ...message.split('\n'), '', RULER, '']
    .map((line) => `remote: ${line}`.concat('\n'))
    .join('');
}
