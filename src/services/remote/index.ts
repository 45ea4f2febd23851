import type { ServiceImplementation } from '#rpc/server/handler';
import type { RemoteService } from '#wire/gen/remote_pb';
import type { RemoteDependencies } from './dependencies.ts';
import { findRemoteRepository } from './find-remote-repository.ts';
import { findRemoteRootRef } from './find-remote-root-ref.ts';
import { updateRemoteMirror } from './update-remote-mirror.ts';

/** Repositories of other servers. */
export function remoteService(deps: RemoteDependencies): ServiceImplementation<typeof RemoteService> {
  return {
    findRemoteRepository: (request, context) => findRemoteRepository(request, context, deps),
    findRemoteRootRef: (request, context) => findRemoteRootRef(request, context, deps),
    updateRemoteMirror: (requests, context) => updateRemoteMirror(requests, context, deps),
  };
}
