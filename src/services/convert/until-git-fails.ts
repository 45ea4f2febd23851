import { GitExitError } from '#git/command/exit-error';

/** What a git command gives, up to its failure, which `onFailure` is told of instead of the reader. */
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

/** As {@link untilGitFails}, for calls that take what git cannot list for an empty list: the failure is only logged. */
export function ignoringGitFailure<T>(
  batches: AsyncIterable<T>,
  log: { add(fields: Readonly<Record<string, unknown>>): void },
): AsyncGenerator<T, void, undefined> {
  return untilGitFails(batches, ({ message, stderr }) => log.add({ git_error: message, git_stderr: stderr }));
}
