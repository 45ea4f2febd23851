import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type { HasLocalBranchesRequest, HasLocalBranchesResponseSchema } from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Reports whether any branch points to a commit. */
export async function hasLocalBranches(
  request: HasLocalBranchesRequest,
  context: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof HasLocalBranchesResponseSchema> {
  const { refs } = deps.storages.open(request.repository);
  return { value: await refs.hasBranches({ signal: context.signal }) };
}
