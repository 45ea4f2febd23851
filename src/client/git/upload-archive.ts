import type { MessageInitShape } from '@bufbuild/protobuf';
import { SSHService, type SSHUploadArchiveRequestSchema } from '#wire/gen/ssh_pb';
import type { CallOptions } from '../call/call-types.ts';
import type { ServiceCaller } from '../call/typed-client.ts';
import { hearErrors, type PackResult, type Stdio } from './git-streams.ts';
import { followCommand } from './remote-command.ts';
import { StdinRequests } from './stdin-requests.ts';

/**
 * Runs `git upload-archive` on the server (RPC SSHUploadArchive), the remote side of `git archive
 * --remote`.
 *
 * Resolves when the server ends the call, without waiting for `stdin`. On an error the call is
 * cancelled.
 *
 * @throws {CallError} the status of the call, with `metadata.exitCode`; {GitalyError} `stdin send
 *   error: …`
 */
export async function uploadArchive(
  connection: ServiceCaller,
  io: Stdio,
  request: MessageInitShape<typeof SSHUploadArchiveRequestSchema>,
  options: CallOptions = {},
): Promise<PackResult> {
  using _ = hearErrors(io);
  const requests = new StdinRequests<MessageInitShape<typeof SSHUploadArchiveRequestSchema>>(
    request,
    io.stdin,
    (stdin) => ({
      stdin,
    }),
  );
  await using call = connection.client(SSHService).sshUploadArchive(requests, options);
  return await followCommand(call, requests, io);
}
