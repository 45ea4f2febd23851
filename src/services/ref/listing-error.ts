import { GitalyError, invalidArgument, wrap } from '#base/gitaly-error';
import { GitExitError } from '#git/command/process/exit-error';
import { MissingPageTokenError } from '#services/convert/request/pagination';

/** Exit code of git for an unknown option. */
const USAGE = 129;

/** Makes a list of references. Nothing runs yet, but words that git must not see are refused. */
export function startList<T>(list: () => T): T {
  try {
    return list();
  } catch (error) {
    throw wrap(error, 'spawning for-each-ref', 'UNKNOWN');
  }
}

/**
 * Converts the failure of a list of references to Gitaly's error; the exit code -1 represents a git
 * that was ended by a signal.
 */
export function listingError(error: unknown): unknown {
  if (error instanceof MissingPageTokenError) {
    return invalidArgument(`invalid page token: sending lines: ${error.message}`, {
      cause: error,
    });
  }
  if (!(error instanceof GitExitError)) return error;
  return new GitalyError('UNKNOWN', `listing failed with exit code ${error.exitCode ?? -1}`, {
    cause: error,
    metadata: { stderr: error.stderr },
  });
}

/**
 * Converts the failure of a list whose references are read one by one to Gitaly's error. A usage
 * error is the caller's: an object that git does not find.
 */
export function pipelineError(error: unknown): unknown {
  if (!(error instanceof GitExitError)) return error;
  const code = error.exitCode === USAGE ? 'INVALID_ARGUMENT' : 'UNKNOWN';
  return new GitalyError(code, `for-each-ref pipeline command: ${error.message}`, {
    cause: error,
    metadata: { stderr: error.stderr },
  });
}

/** Converts the failure of a call that finds branches. */
export function findingError(error: unknown): unknown {
  const failure = listingError(error);
  return error instanceof MissingPageTokenError ? failure : wrap(failure, 'finding refs');
}
