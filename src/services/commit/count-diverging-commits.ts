import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, wrap } from '#base/gitaly-error';
import { GitExitError } from '#git/command/exit-error';
import { countDiverging } from '#git/history/count';
import type { HandlerContext } from '#rpc/server/handler';
import type { CountDivergingCommitsRequest, CountDivergingCommitsResponseSchema } from '#wire/gen/commit_pb';
import type { CommitRooms } from './index.ts';

/** Counts the commits that only one of two revisions reaches. The revisions are looked at before the repository is. */
export async function countDivergingCommits(
  request: CountDivergingCommitsRequest,
  context: HandlerContext,
  rooms: CommitRooms,
): Promise<MessageInitShape<typeof CountDivergingCommitsResponseSchema>> {
  if (request.from.length === 0 || request.to.length === 0) {
    throw new GitalyError('INVALID_ARGUMENT', 'from and to are both required');
  }
  const repository = rooms.storages.open(request.repository);

  try {
    const counts = await countDiverging(repository.git, repository, request, { signal: context.signal });
    if (counts === undefined) throw new Error('invalid output from git rev-list --left-right');
    return { leftCount: counts.left, rightCount: counts.right };
  } catch (error) {
    // "gi" is what clients have always been told.
    throw wrap(error, error instanceof GitExitError ? 'gi rev-list error' : 'git rev-list cmd');
  }
}
