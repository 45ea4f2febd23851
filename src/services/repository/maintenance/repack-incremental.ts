import type { MessageInitShape } from '@bufbuild/protobuf';
import { repackAsBefore } from '#domain/housekeeping/releases-15/repack-as-before';
import type { HandlerContext } from '#rpc/server/handler';
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
): Promise<MessageInitShape<typeof RepackIncrementalResponseSchema>> {
  const repository = deps.storages.open(request.repository);

  await deps.housekeeping.exclusively(repository, signal, (running) =>
    repackAsBefore(repository, { kind: 'incremental', writeBitmap: false, signal: running }),
  );
  return {};
}
