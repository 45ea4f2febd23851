import { GitalyError, invalidArgument, wrapped } from '#base/gitaly-error';
import { existsRemote, findRemoteRootRef as find } from '#domain/remote/mirror/find-remote';
import type { HandlerContext, ResponseOf, ServiceImplementation } from '#rpc/server/handler';
import type {
  FindRemoteRepositoryRequest,
  FindRemoteRepositoryResponseSchema,
  FindRemoteRootRefRequest,
  FindRemoteRootRefResponseSchema,
  RemoteService,
} from '#wire/gen/remote_pb';
import type { RemoteDependencies } from './dependencies.ts';
import { updateRemoteMirror } from './update-remote-mirror.ts';

/** Repositories of other servers. */
export function remoteService(deps: RemoteDependencies): ServiceImplementation<typeof RemoteService> {
  return {
    findRemoteRepository: (request, context) => findRemoteRepository(request, context, deps),
    findRemoteRootRef: (request, context) => findRemoteRootRef(request, context, deps),
    updateRemoteMirror: (requests, context) => updateRemoteMirror(requests, context, deps),
  };
}

/** Reports whether there is a repository with commits at a URL. The storage only routes the call. */
async function findRemoteRepository(
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

/** Returns the default branch of a remote repository. */
async function findRemoteRootRef(
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
