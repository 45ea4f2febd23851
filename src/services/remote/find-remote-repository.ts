import { GitalyError, invalidArgument, wrapped } from '#base/gitaly-error';
import { existsRemote } from '#domain/remote/mirror/find-remote';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type { FindRemoteRepositoryRequest, FindRemoteRepositoryResponseSchema } from '#wire/gen/remote_pb';
import type { RemoteDependencies } from './dependencies.ts';

/** Reports whether there is a repository with commits at a URL. The storage only routes the call. */
export async function findRemoteRepository(
  { remote: url }: FindRemoteRepositoryRequest,
  { signal }: HandlerContext,
  { storages }: RemoteDependencies,
): ResponseOf<typeof FindRemoteRepositoryResponseSchema> {
  if (url === '') throw invalidArgument("empty remote can't be checked.");
  const [storage] = storages.all;
  if (storage === undefined) throw new GitalyError('INTERNAL', 'the server has no storage');
  const remote = {
    url,
    resolvedAddress: '',
    authorization: '',
    userInfo: 'asked',
    allowsLocal: true,
  } as const;
  const exists = await existsRemote(storages.git, storage, remote, signal).catch(
    wrapped('error executing git command'),
  );
  return { exists };
}
