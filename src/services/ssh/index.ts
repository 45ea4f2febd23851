import type { ServiceImplementation } from '#rpc/server/handler';
import type { SSHService } from '#wire/gen/ssh_pb';
import type { SshDependencies } from './dependencies.ts';
import { sshReceivePack } from './ssh-receive-pack.ts';
import { sshUploadArchive, sshUploadPack, sshUploadPackWithSidechannel } from './ssh-uploads.ts';

/** Clones, fetches, pushes and archives over SSH: a conversation. */
export function sshService(deps: SshDependencies): ServiceImplementation<typeof SSHService> {
  return {
    sSHReceivePack: (requests, context) => sshReceivePack(requests, context, deps),
    sSHUploadArchive: (requests, context) => sshUploadArchive(requests, context, deps),
    sSHUploadPack: (requests, context) => sshUploadPack(requests, context, deps),
    sSHUploadPackWithSidechannel: (request, context) => sshUploadPackWithSidechannel(request, context, deps),
  };
}
