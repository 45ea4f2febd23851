import type { CapabilityAdvertisements } from '#domain/git-service/capability-advertisements';
import type { ReceivePack } from '#domain/receive-pack/receive-pack';
import type { Voter } from '#domain/transactions/voter';
import type { NegotiationStatistics } from '#domain/upload-pack/negotiation';
import type { ServiceImplementation } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import type { SSHService } from '#wire/gen/ssh_pb';
import type { MethodInfo } from '#wire/method-info';
import { sshReceivePack } from './ssh-receive-pack.ts';
import { sshUploadArchive } from './ssh-upload-archive.ts';
import { sshUploadPack } from './ssh-upload-pack.ts';
import { sshUploadPackWithSidechannel } from './ssh-upload-pack-with-sidechannel.ts';

export interface SshRooms {
  readonly storages: Storages;
  readonly receivePack: ReceivePack;
  readonly voter: Voter;
  readonly capabilities: CapabilityAdvertisements;
  /** `[timeout] upload_pack_negotiation`: until the client has said what it wants. */
  readonly uploadPackTimeoutMs: number;
  /** `[timeout] upload_archive_negotiation` */
  readonly uploadArchiveTimeoutMs: number;
  /** `gitaly_git_protocol_requests_total`: what the request asks for, as it stands there. */
  readonly observeGitProtocol?: ((method: MethodInfo, gitProtocol: string) => void) | undefined;
  /** `gitaly_ssh_packfile_negotiation_requests_total` and the histogram of depths. */
  readonly observeNegotiation?: ((statistics: NegotiationStatistics) => void) | undefined;
}

/** Clones, fetches, pushes and archives as they come over SSH: a conversation. */
export function sshService(rooms: SshRooms): ServiceImplementation<typeof SSHService> {
  return {
    sSHReceivePack: (requests, context) => sshReceivePack(requests, context, rooms),
    sSHUploadArchive: (requests, context) => sshUploadArchive(requests, context, rooms),
    sSHUploadPack: (requests, context) => sshUploadPack(requests, context, rooms),
    sSHUploadPackWithSidechannel: (request, context) => sshUploadPackWithSidechannel(request, context, rooms),
  };
}
