import type { HandlersOf } from '#rpc/server/handler';
import type { GitTransportDependencies } from '#services/convert/request/git-transport-dependencies';
import type { SSHService } from '#wire/gen/ssh_pb';

export interface SshDependencies extends GitTransportDependencies {
  /** `[timeout] upload_pack_negotiation`: until the client has sent its request. */
  readonly uploadPackTimeoutMs: number;
  /** `[timeout] upload_archive_negotiation` */
  readonly uploadArchiveTimeoutMs: number;
}

export type Handlers = HandlersOf<typeof SSHService, SshDependencies>;
