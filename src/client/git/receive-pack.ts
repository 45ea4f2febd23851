import type { MessageInitShape } from '@bufbuild/protobuf';
import { type SSHReceivePackRequestSchema, SSHService } from '#wire/gen/ssh_pb';
import type { CallOptions } from '../call/call-types.ts';
import type { ServiceCaller } from '../call/typed-client.ts';
import { hearErrors, type PackResult, type Stdio } from './git-streams.ts';
import { followCommand } from './remote-command.ts';
import { StdinRequests } from './stdin-requests.ts';

/**
 * Runs `git receive-pack` on the server (RPC SSHReceivePack). The request contains the repository
 * and the user.
 *
 * Resolves when the server ends the call, without waiting for `stdin`. On an error the call is
 * cancelled.
 *
 * @throws {CallError} the status of the call, with `metadata.exitCode`; {GitalyError} `stdin send
 *   error: …`
 */
export async function receivePack(
  connection: ServiceCaller,
  io: Stdio,
  request: MessageInitShape<typeof SSHReceivePackRequestSchema>,
  options: CallOptions = {},
): Promise<PackResult> {
  using _ = hearErrors(io);
  const requests = new StdinRequests<MessageInitShape<typeof SSHReceivePackRequestSchema>>(
    request,
    io.stdin,
    (stdin) => ({
      stdin,
    }),
  );
  await using call = connection.client(SSHService).sshReceivePack(requests, options);
  return await followCommand(call, requests, io);
}
