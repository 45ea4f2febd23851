import { GitExitError } from '#git/command/exit-error';
import type { HandlerContext } from '#rpc/server/handler';

/** What a git command gives, up to its failure, which is only logged: for calls that take a revision that is not there for an empty history. */
export async function* untilGitFails<T>(
  batches: AsyncIterable<T>,
  { signal, log }: Pick<HandlerContext, 'signal' | 'log'>,
): AsyncGenerator<T, void, undefined> {
  try {
    yield* batches;
  } catch (error) {
    if (!(error instanceof GitExitError) || signal.aborted) throw error;
    log.add({ git_error: error.message, git_stderr: error.stderr });
  }
}
