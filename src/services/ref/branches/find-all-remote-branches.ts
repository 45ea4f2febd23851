import { invalidArgument } from '#base/gitaly-error';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import { toCommitMessage } from '#services/convert/response/commit';
import type { FindAllRemoteBranchesRequest, FindAllRemoteBranchesResponseSchema } from '#wire/gen/ref_pb';
import type { RefDependencies } from '../dependencies.ts';
import { branchLines } from './branch-lines.ts';

/** Lists the branches of one remote with their commits, 20 in a message. */
export async function* findAllRemoteBranches(
  request: FindAllRemoteBranchesRequest,
  context: HandlerContext,
  deps: RefDependencies,
): ResponsesOf<typeof FindAllRemoteBranchesResponseSchema> {
  const repository = deps.storages.open(request.repository);
  if (request.remoteName === '') throw invalidArgument('empty RemoteName');

  const query = { patterns: [`refs/remotes/${request.remoteName}`] };
  for await (const branches of branchLines(repository, query, { context })) {
    yield {
      branches: branches.map(({ ref, commit }) => ({
        name: ref.name,
        targetCommit: toCommitMessage(commit),
      })),
    };
  }
}
