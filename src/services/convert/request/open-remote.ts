import type { RemoteOptions, RemoteRepositories } from '#domain/remote/server/remote-repositories';
import type { OpenRemote } from '#domain/remote/server/remote-repository';
import { GITALY_SERVERS } from '#rpc/common/header-names';
import type { HandlerContext } from '#rpc/server/handler';
import type { RepositoryTarget } from '#storage/repository-target';

/** Returns a function that opens a repository of another server on behalf of a call. */
export function remoteOpener(
  repository: RepositoryTarget,
  context: HandlerContext,
  remotes: RemoteRepositories,
): OpenRemote {
  return () => remotes.open(repository, remoteOptions(context));
}

/** Returns a function as {@link remoteOpener}, whose errors have no prefix. */
export function remoteConnector(
  repository: RepositoryTarget,
  context: HandlerContext,
  remotes: RemoteRepositories,
): OpenRemote {
  return () => remotes.connect(repository, remoteOptions(context));
}

function remoteOptions({ headers, flags, correlationId, signal }: HandlerContext): RemoteOptions {
  const featureFlags = Object.fromEntries(flags.sent());
  return { servers: headers.get(GITALY_SERVERS), featureFlags, correlationId, signal };
}
