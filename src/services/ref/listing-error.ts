import { GitalyError, wrap } from '#base/gitaly-error';
import { GitExitError } from '#git/command/exit-error';
import { MissingPageTokenError } from '../convert/pagination.ts';

/** What git ends with when it does not understand an option. */
const USAGE = 129;

/** Makes a list of references. Nothing runs yet, but words that git must not see are refused. */
export function startList<T>(list: () => T): T {
  try {
    return list();
  } catch (error) {
    throw wrap(error, 'spawning for-each-ref', 'UNKNOWN');
  }
}

/** The failure of a list of references in Gitaly's words; the exit code -1 stands for a git that did not end by itself. */
export function listingError(error: unknown): unknown {
  if (error instanceof MissingPageTokenError) {
    return new GitalyError('INVALID_ARGUMENT', `invalid page token: sending lines: ${error.message}`, { cause: error });
  }
  if (!(error instanceof GitExitError)) return error;
  return new GitalyError('UNKNOWN', `listing failed with exit code ${error.exitCode ?? -1}`, {
    cause: error,
    metadata: { stderr: error.stderr },
  });
}

/**
 * The failure of a list whose references are looked at one by one, in Gitaly's words. A usage error is the caller's: an object that git does not
 * know.
 */
export function pipelineError(error: unknown): unknown {
  if (!(error instanceof GitExitError)) return error;
  const code = error.exitCode === USAGE ? 'INVALID_ARGUMENT' : 'UNKNOWN';
  return new GitalyError(code, `for-each-ref pipeline command: ${error.message}`, {
    cause: error,
    metadata: { stderr: error.stderr },
  });
}

/** The failure of a call that looks for branches. */
export function findingError(error: unknown): unknown {
  const failure = listingError(error);
  return error instanceof MissingPageTokenError ? failure : wrap(failure, 'finding refs');
}
