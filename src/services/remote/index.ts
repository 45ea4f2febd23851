import { GitalyError, invalidArgument, wrapped } from '#base/gitaly-error';
import { existsRemote, findRemoteRootRef as find } from '#domain/remote/mirror/find-remote';
import { serveWith } from '#rpc/server/handler';
import { RemoteService } from '#wire/gen/remote_pb';
import type { Handlers, RemoteDependencies } from './dependencies.ts';
import { updateRemoteMirror } from './update-remote-mirror.ts';

/** Repositories of other servers. */
export function remoteService(deps: RemoteDependencies) {
  return serveWith(RemoteService, deps, {
    findRemoteRepository,
    findRemoteRootRef,
    updateRemoteMirror,
  });
}

/** Reports whether there is a repository with commits at a URL. The storage only routes the call. */
const findRemoteRepository: Handlers['findRemoteRepository'] = async (
  { remote: url },
  { signal },
  { storages },
) => {
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
};

/** Returns the default branch of a remote repository. */
const findRemoteRootRef: Handlers['findRemoteRootRef'] = async (request, { signal }, { storages }) => {
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
};
