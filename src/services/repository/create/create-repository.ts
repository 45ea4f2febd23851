import { invalidArgument, wrapped } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import { createRepository as create } from '#storage/lifecycle/create-repository';
import type { CreateRepositoryRequest, CreateRepositoryResponseSchema } from '#wire/gen/repository_pb';
import { ObjectFormat } from '#wire/gen/shared_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Creates an empty repository, whole or not at all. */
export async function createRepository(
  request: CreateRepositoryRequest,
  context: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof CreateRepositoryResponseSchema> {
  deps.storages.locate(request.repository);
  const objectFormat = gitObjectFormat(request.objectFormat);
  const initialBranch = request.defaultBranch.length > 0 ? { initialBranch: request.defaultBranch } : {};

  const { signal } = context;
  await create(deps.storages, request.repository, {
    objectFormat,
    ...initialBranch,
    signal,
    vote: deps.voteOf(context),
  }).catch(wrapped('creating repository'));
  return {};
}

/**
 * Returns git's name of the format. The wire format allows numbers that the enumeration does not
 * have.
 */
function gitObjectFormat(format: ObjectFormat): 'sha1' | 'sha256' {
  switch (format) {
    case ObjectFormat.UNSPECIFIED:
    case ObjectFormat.SHA1:
      return 'sha1';
    case ObjectFormat.SHA256:
      return 'sha256';
    default:
      throw invalidArgument(`unknown object format: ${quote(String(format))}`);
  }
}
