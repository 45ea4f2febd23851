import type { RemoteOptions } from '#domain/remote-repository/remote-repositories';
import { GITALY_SERVERS } from '#rpc/common/header-names';
import type { HandlerContext } from '#rpc/server/handler';

/** What a call says about repositories of other servers. */
export function remoteOptionsOf({ headers, correlationId, signal }: HandlerContext): RemoteOptions {
  return { servers: headers.get(GITALY_SERVERS), correlationId, signal };
}
