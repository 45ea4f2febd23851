import { repackAsBefore } from '#domain/housekeeping/releases-15/repack-as-before';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type {
  RepackIncrementalRequest,
  RepackIncrementalResponseSchema,
} from '#wire/gen/repository-service_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Packs the loose objects. Clients of 15.0 only. */
export async function repackIncremental(
  request: RepackIncrementalRequest,
  { signal }: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof RepackIncrementalResponseSchema> {
  const repository = deps.storages.open(request.repository);

  await deps.housekeeping.exclusively(repository, signal, (running) =>
    repackAsBefore(repository, { kind: 'incremental', writeBitmap: false, signal: running }),
  );
  return {};
}
