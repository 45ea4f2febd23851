import { GitalyError, messageOf } from '#base/gitaly-error';
import { quote } from '#base/quote';
import { GitExitError } from '../command/exit-error.ts';
import { isRefused } from '../command/git-command.ts';

/**
 * The failure of a `rev-list` in Gitaly's words, without a code: `rev-list pipeline command: exit status 128, stderr: "fatal: bad revision 'x'\n"`,
 * or `rev-list: …, stderr: ""` for words that git must not see. Anything else as it is.
 */
export function revListFailure(error: unknown): unknown {
  if (error instanceof GitExitError) {
    return new GitalyError('UNKNOWN', `rev-list pipeline command: ${error.message}, stderr: ${quote(error.stderr)}`, {
      cause: error,
    });
  }
  return isRefused(error) ? new GitalyError(error.code, `rev-list: ${messageOf(error)}, stderr: ""`, { cause: error }) : error;
}
