import { GitalyError, messageOf } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { isRefused } from '../command/git-command.ts';
import { GitExitError } from '../command/process/exit-error.ts';

/**
 * Converts the failure of a `rev-list` to Gitaly's text, without a code: `rev-list pipeline
 * command: exit status 128, stderr: "fatal: bad revision 'x'\n"`, or `rev-list: …, stderr: ""` for
 * words that git must not receive. Returns other errors unchanged.
 */
export function revListFailure(error: unknown): unknown {
  if (error instanceof GitExitError) {
    return new GitalyError(
      'UNKNOWN',
      `rev-list pipeline command: ${error.message}, stderr: ${quote(error.stderr)}`,
      {
        cause: error,
      },
    );
  }
  return isRefused(error)
    ? new GitalyError(error.code, `rev-list: ${messageOf(error)}, stderr: ""`, { cause: error })
    : error;
}
