import type { GitTransportDependencies } from '#services/convert/request/git-transport-dependencies';

export interface SshDependencies extends GitTransportDependencies {
  /** `[timeout] upload_pack_negotiation`: until the client has sent its request. */
  readonly uploadPackTimeoutMs: number;
  /** `[timeout] upload_archive_negotiation` */
  readonly uploadArchiveTimeoutMs: number;
}
