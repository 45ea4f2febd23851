import { repackWithIndex } from '#domain/housekeeping/releases-15/repack-with-index';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type { MidxRepackRequest, MidxRepackResponseSchema } from '#wire/gen/repository-service_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Combines small packs with the help of a multi-pack-index. Clients of 15.0 only. */
export async function midxRepack(
  request: MidxRepackRequest,
  { signal }: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof MidxRepackResponseSchema> {
  const repository = deps.storages.open(request.repository);

  await deps.housekeeping.exclusively(repository, signal, (running) => repackWithIndex(repository, running));
  return {};
}
