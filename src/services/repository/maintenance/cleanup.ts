import { cleanWorktrees } from '#domain/worktrees/clean-worktrees';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type { CleanupRequest, CleanupResponseSchema } from '#wire/gen/repository-service_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Removes the work trees that killed calls left. Clients of 15.0 only. */
export async function cleanup(
  request: CleanupRequest,
  { signal }: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof CleanupResponseSchema> {
  const repository = deps.storages.open(request.repository);

  await cleanWorktrees(repository, { signal });
  return {};
}
