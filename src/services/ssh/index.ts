import type { ServiceImplementation } from '#rpc/server/handler';
import type { SSHService } from '#wire/gen/ssh_pb';
import type { SshDependencies } from './dependencies.ts';
import { sshReceivePack } from './ssh-receive-pack.ts';
import { sshUploadArchive } from './ssh-upload-archive.ts';
import { sshUploadPack } from './ssh-upload-pack.ts';
import { sshUploadPackWithSidechannel } from './ssh-upload-pack-with-sidechannel.ts';

/** Clones, fetches, pushes and archives over SSH: a conversation. */
export function sshService(deps: SshDependencies): ServiceImplementation<typeof SSHService> {
  return {
    sSHReceivePack: (requests, context) => sshReceivePack(requests, context, deps),
    sSHUploadArchive: (requests, context) => sshUploadArchive(requests, context, deps),
    sSHUploadPack: (requests, context) => sshUploadPack(requests, context, deps),
    sSHUploadPackWithSidechannel: (request, context) => sshUploadPackWithSidechannel(request, context, deps),
  };
}
