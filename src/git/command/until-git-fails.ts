import { GitExitError } from './process/exit-error.ts';

/** Yields the output of a git command up to its failure, which is passed to `onFailure`. */
export async function* untilGitFails<T>(
  batches: AsyncIterable<T> | Iterable<T>,
  onFailure: (error: GitExitError) => void,
): AsyncGenerator<T, void, undefined> {
  try {
    yield* batches;
  } catch (error) {
    if (!(error instanceof GitExitError)) throw error;
    onFailure(error);
  }
}

/** As {@link untilGitFails}; the failure is only logged. */
export function ignoringGitFailure<T>(
  batches: AsyncIterable<T>,
  log: { add(fields: Readonly<Record<string, unknown>>): void },
): AsyncGenerator<T, void, undefined> {
  return untilGitFails(batches, ({ message, stderr }) => log.add({ git_error: message, git_stderr: stderr }));
}
