import { wrapped } from '#base/gitaly-error';
import { createFromSnapshot } from '#domain/create-copy/create-from-snapshot';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type {
  CreateRepositoryFromSnapshotRequest,
  CreateRepositoryFromSnapshotResponseSchema,
} from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Creates a repository from a snapshot that a web server sends, whole or not at all. */
export async function createRepositoryFromSnapshot(
  request: CreateRepositoryFromSnapshotRequest,
  context: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof CreateRepositoryFromSnapshotResponseSchema> {
  deps.storages.locate(request.repository);

  const source = {
    url: request.httpUrl,
    resolvedAddress: request.resolvedAddress,
    authorization: request.httpAuth,
  };
  const options = { source, vote: deps.voteOf(context), signal: context.signal };
  await createFromSnapshot(deps.storages, request.repository, options).catch(wrapped('creating repository'));
  return {};
}
