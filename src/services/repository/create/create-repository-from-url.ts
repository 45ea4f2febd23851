import { create } from '@bufbuild/protobuf';
import { invalidArgument, wrap } from '#base/gitaly-error';
import { createFromUrl, isRemoteNotFound } from '#domain/create-copy/create-from-url';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import {
  CreateRepositoryFromURLErrorSchema,
  type CreateRepositoryFromURLRequest,
  type CreateRepositoryFromURLResponseSchema,
} from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Creates a repository by cloning a URL, whole or not at all. */
export async function createRepositoryFromUrl(
  request: CreateRepositoryFromURLRequest,
  context: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof CreateRepositoryFromURLResponseSchema> {
  deps.storages.locate(request.repository);
  if (request.url === '') throw invalidArgument('empty Url');

  const remote = {
    url: request.url,
    resolvedAddress: request.resolvedAddress,
    authorization: request.httpAuthorizationHeader,
    userInfo: 'always' as const,
    allowsLocal: true,
  };
  const options = { remote, isMirror: request.mirror, vote: deps.voteOf(context), signal: context.signal };
  await createFromUrl(deps.storages, request.repository, options).catch((error: unknown) => {
    throw wrap(error, 'creating repository', 'INTERNAL', { details: detailsOf(error) });
  });
  return {};
}

function detailsOf(error: unknown) {
  if (!isRemoteNotFound(error)) return [];
  const detail = { case: 'remoteNotFound', value: {} } as const;
  return [create(CreateRepositoryFromURLErrorSchema, { error: detail })];
}
