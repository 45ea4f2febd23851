import { serveWith } from '#rpc/server/handler';
import { SSHService } from '#wire/gen/ssh_pb';
import type { SshDependencies } from './dependencies.ts';
import { sshReceivePack } from './ssh-receive-pack.ts';
import { sshUploadArchive, sshUploadPack, sshUploadPackWithSidechannel } from './ssh-uploads.ts';

/** Clones, fetches, pushes and archives over SSH: a conversation. */
export function sshService(deps: SshDependencies) {
  return serveWith(SSHService, deps, {
    sSHReceivePack: sshReceivePack,
    sSHUploadArchive: sshUploadArchive,
    sSHUploadPack: sshUploadPack,
    sSHUploadPackWithSidechannel: sshUploadPackWithSidechannel,
  });
}
