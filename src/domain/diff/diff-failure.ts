import { GitalyError, wrap } from '#base/gitaly-error';
import { GitExitError } from '#git/command/process/exit-error';
import { DiffFormatError } from '#git/diff/parse/diff-format-error';

/** Runs a function that creates a command; a word that git must not receive gives `cmd: …`. */
export function checked<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw wrap(error, 'cmd');
  }
}

/**
 * Returns a failure of git or of its output, with the code that clients of the diff service know.
 */
export function diffFailure(error: unknown): unknown {
  if (error instanceof GitExitError) {
    return new GitalyError('FAILED_PRECONDITION', error.message, {
      cause: error,
      metadata: { stderr: error.stderr },
    });
  }
  if (error instanceof DiffFormatError) return wrap(error, 'parse failure');
  return error;
}
