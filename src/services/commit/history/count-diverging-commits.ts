import { GitalyError, invalidArgument, wrap } from '#base/gitaly-error';
import { isRefused } from '#git/command/git-command';
import { GitExitError } from '#git/command/process/exit-error';
import { countDiverging } from '#git/history/count';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type { CountDivergingCommitsRequest, CountDivergingCommitsResponseSchema } from '#wire/gen/commit_pb';
import type { CommitDependencies } from '../dependencies.ts';

const DASH = 0x2d;

/**
 * Counts the commits that only one of two revisions reaches. The revisions are checked before the
 * repository.
 */
export async function countDivergingCommits(
  request: CountDivergingCommitsRequest,
  context: HandlerContext,
  deps: CommitDependencies,
): ResponseOf<typeof CountDivergingCommitsResponseSchema> {
  if (request.from.length === 0 || request.to.length === 0) {
    throw invalidArgument('from and to are both required');
  }
  const repository = deps.storages.open(request.repository);

  try {
    const counts = await countDiverging(repository, request, { signal: context.signal });
    if (counts === undefined) throw new Error('invalid output from git rev-list --left-right');
    return { leftCount: counts.left, rightCount: counts.right };
  } catch (error) {
    if (isRefused(error) && error.code === 'INVALID_ARGUMENT' && request.from[0] !== DASH) {
      // Gitaly passes such a `to` on, and git finds no such revision.
      throw new GitalyError('INTERNAL', 'gi rev-list error: exit status 128', { cause: error });
    }
    // "gi" is in Gitaly's text.
    throw wrap(error, error instanceof GitExitError ? 'gi rev-list error' : 'git rev-list cmd');
  }
}
