import { invalidArgument, wrap } from '#base/gitaly-error';
import type { RefQuery } from '#git/refs/git/for-each-ref';
import type { RefReader } from '#git/refs/ref-reader';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import { toCommitMessage } from '#services/convert/response/commit';
import type {
  FindAllBranchesRequest,
  FindAllBranchesResponseSchema,
  FindAllRemoteBranchesRequest,
  FindAllRemoteBranchesResponseSchema,
} from '#wire/gen/ref_pb';
import type { RefDependencies } from '../dependencies.ts';
import { branchLines } from './branch-lines.ts';

const EVERYWHERE = ['refs/heads', 'refs/remotes'];

/**
 * Lists local and remote branches with their commits, 20 in a message; with `merged_only` those
 * that the default branch contains.
 */
export async function* findAllBranches(
  request: FindAllBranchesRequest,
  context: HandlerContext,
  deps: RefDependencies,
): ResponsesOf<typeof FindAllBranchesResponseSchema> {
  const repository = deps.storages.open(request.repository);

  const query = request.mergedOnly
    ? await mergedQuery(request, repository.refs, context.signal)
    : { patterns: EVERYWHERE };
  for await (const branches of branchLines(repository, query, { context })) {
    yield {
      branches: branches.map(({ ref, commit }) => ({ name: ref.name, target: toCommitMessage(commit) })),
    };
  }
}

async function mergedQuery(
  { mergedBranches }: FindAllBranchesRequest,
  refs: RefReader,
  signal: AbortSignal,
): Promise<RefQuery> {
  try {
    // In a repository without branches, git is called with an empty name, and fails.
    const merged = (await refs.defaultBranch({ signal })) ?? '';
    return { patterns: mergedBranches.length > 0 ? mergedBranches : EVERYWHERE, merged };
  } catch (error) {
    throw wrap(error, 'default branch name');
  }
}

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
