import { messageOf } from '#base/gitaly-error';
import { collectGarbage } from '#domain/housekeeping/releases-15/collect-garbage';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type { GarbageCollectRequest, GarbageCollectResponseSchema } from '#wire/gen/repository-service_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Runs `git gc`. Clients of 15.0 only. */
export async function garbageCollect(
  request: GarbageCollectRequest,
  { signal, log }: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof GarbageCollectResponseSchema> {
  const repository = deps.storages.open(request.repository);

  await deps.housekeeping.exclusively(repository, signal, (running) =>
    collectGarbage(deps.housekeeping, repository, {
      writeBitmap: request.createBitmap,
      prune: request.prune,
      onStaleDataLeft: (error) => log.add({ stale_data_error: messageOf(error) }),
      signal: running,
    }),
  );
  return {};
}
