import { invalidArgument } from '#base/gitaly-error';
import { findRemoteRootRef as find } from '#domain/remote/mirror/find-remote';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type { FindRemoteRootRefRequest, FindRemoteRootRefResponseSchema } from '#wire/gen/remote_pb';
import type { RemoteDependencies } from './dependencies.ts';

/** Returns the default branch of a remote repository. */
export async function findRemoteRootRef(
  request: FindRemoteRootRefRequest,
  { signal }: HandlerContext,
  { storages }: RemoteDependencies,
): ResponseOf<typeof FindRemoteRootRefResponseSchema> {
  if (request.remoteUrl === '') throw invalidArgument('missing remote URL');
  const repository = storages.open(request.repository);
  const remote = {
    url: request.remoteUrl,
    resolvedAddress: request.resolvedAddress,
    authorization: request.httpAuthorizationHeader,
    userInfo: 'asked' as const,
    allowsLocal: true,
  };
  return { ref: await find(repository, remote, signal) };
}
