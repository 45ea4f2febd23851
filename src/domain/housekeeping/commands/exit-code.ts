import { GitalyError } from '#base/gitaly-error';
import { GitExitError } from '#git/command/exit-error';

/**
 * Returns a function that rethrows the failure of a command as `<name> failed with error code N`.
 */
export function withExitCode(name: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof GitExitError) || error.exitCode === undefined) throw error;
    throw new GitalyError('INTERNAL', `${name} failed with error code ${error.exitCode}`, {
      cause: error,
      metadata: { stderr: error.stderr },
    });
  };
}
