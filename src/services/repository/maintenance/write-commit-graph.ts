import { invalidArgument } from '#base/gitaly-error';
import { updateCommitGraph } from '#domain/housekeeping/releases-15/update-commit-graph';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import {
  WriteCommitGraphRequest_SplitStrategy as SplitStrategy,
  type WriteCommitGraphRequest,
  type WriteCommitGraphResponseSchema,
} from '#wire/gen/repository-service_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Updates the commit-graph. Clients of 15.0 only. */
export async function writeCommitGraph(
  request: WriteCommitGraphRequest,
  { signal }: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof WriteCommitGraphResponseSchema> {
  const repository = deps.storages.open(request.repository);
  if (request.splitStrategy !== SplitStrategy.SizeMultiple)
    throw invalidArgument(`unsupported split strategy: ${String(request.splitStrategy)}`);

  await deps.housekeeping.exclusively(repository, signal, (running) =>
    updateCommitGraph(repository, running),
  );
  return {};
}
