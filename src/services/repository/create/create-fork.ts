import type { MessageInitShape } from '@bufbuild/protobuf';
import { wrap } from '#base/gitaly-error';
import { createFork as fork } from '#domain/create-copy/create-fork';
import type { HandlerContext } from '#rpc/server/handler';
import { remoteConnector } from '#services/convert/request/open-remote';
import { requireTarget } from '#storage/require-target';
import type { CreateForkRequest, CreateForkResponseSchema } from '#wire/gen/repository_pb';
import type { Repository } from '#wire/gen/shared_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Creates a repository with the branches and tags of another, whole or not at all. */
export async function createFork(
  request: CreateForkRequest,
  context: HandlerContext,
  deps: RepositoryDependencies,
): Promise<MessageInitShape<typeof CreateForkResponseSchema>> {
  const source = sourceOf(request);
  deps.storages.locate(request.repository);

  const options = {
    openSource: remoteConnector(source, context, deps.remotes),
    sourceStorage: source.storageName,
    reference: request.revision,
    vote: deps.voteOf(context),
    signal: context.signal,
  };
  await fork(deps.storages, request.repository, options).catch((error: unknown) => {
    throw wrap(error, 'creating fork');
  });
  return {};
}

function sourceOf({ sourceRepository }: CreateForkRequest): Repository {
  try {
    return requireTarget(sourceRepository);
  } catch (error) {
    throw wrap(error, 'validating source repository');
  }
}
