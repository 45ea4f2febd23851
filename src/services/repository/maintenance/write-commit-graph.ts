import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import { updateCommitGraph } from '#domain/housekeeping/releases-15/update-commit-graph';
import type { HandlerContext } from '#rpc/server/handler';
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
): Promise<MessageInitShape<typeof WriteCommitGraphResponseSchema>> {
  const repository = deps.storages.open(request.repository);
  if (request.splitStrategy !== SplitStrategy.SizeMultiple)
    throw new GitalyError('INVALID_ARGUMENT', `unsupported split strategy: ${String(request.splitStrategy)}`);

  await deps.housekeeping.exclusively(repository, signal, (running) =>
    updateCommitGraph(repository, running),
  );
  return {};
}
