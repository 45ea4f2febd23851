import { wrap } from '#base/gitaly-error';
import { createFork as fork, requireBranch } from '#domain/create-copy/create-fork';
import { LINKED_FORK } from '#rpc/common/header-names';
import { remoteConnector } from '#services/convert/request/open-remote';
import { requireTarget } from '#storage/require-target';
import type { CreateForkRequest } from '#wire/gen/repository_pb';
import type { Repository } from '#wire/gen/shared_pb';
import type { Handlers } from '../dependencies.ts';

/**
 * Creates a repository with the branches and tags of another, whole or not at all. A client may
 * want it to borrow its objects, which the nodes of a cluster cannot: they would name the pool
 * differently.
 */
export const createFork: Handlers['createFork'] = async (request, context, deps) => {
  const source = sourceOf(request);
  deps.storages.locate(request.repository);

  const vote = deps.voteOf(context);
  const { signal } = context;
  if (context.headers.get(LINKED_FORK) === 'true' && vote === undefined) {
    const branch = requireBranch(request.revision);
    const linked = deps.linkedForks.create(request.repository, source, { branch, signal });
    if (await linked.catch(failed)) return {};
  }
  const options = {
    openSource: remoteConnector(source, context, deps.remotes),
    sourceStorage: source.storageName,
    reference: request.revision,
    vote,
    signal,
  };
  await fork(deps.storages, request.repository, options).catch(failed);
  return {};
};

function failed(error: unknown): never {
  throw wrap(error, 'creating fork');
}

function sourceOf({ sourceRepository }: CreateForkRequest): Repository {
  try {
    return requireTarget(sourceRepository);
  } catch (error) {
    throw wrap(error, 'validating source repository');
  }
}
