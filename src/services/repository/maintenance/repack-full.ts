import { repackAsBefore } from '#domain/housekeeping/releases-15/repack-as-before';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type { RepackFullRequest, RepackFullResponseSchema } from '#wire/gen/repository-service_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Repacks all objects into one pack. Clients of 15.0 only. */
export async function repackFull(
  request: RepackFullRequest,
  { signal }: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof RepackFullResponseSchema> {
  const repository = deps.storages.open(request.repository);
  const writeBitmap = request.createBitmap;

  await deps.housekeeping.exclusively(repository, signal, (running) =>
    repackAsBefore(repository, { kind: 'full', writeBitmap, signal: running }),
  );
  return {};
}
