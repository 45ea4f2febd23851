import { pruneUnreachable } from '#domain/housekeeping/prune-unreachable';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type {
  PruneUnreachableObjectsRequest,
  PruneUnreachableObjectsResponseSchema,
} from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Drops unreachable objects that are older than half an hour. Object pools are refused. */
export async function pruneUnreachableObjects(
  request: PruneUnreachableObjectsRequest,
  { signal }: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof PruneUnreachableObjectsResponseSchema> {
  const repository = deps.storages.open(request.repository);

  await pruneUnreachable(deps.housekeeping, repository, signal);
  return {};
}
