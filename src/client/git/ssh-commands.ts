import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  type SSHReceivePackRequestSchema,
  SSHService,
  type SSHUploadArchiveRequestSchema,
  type SSHUploadPackRequestSchema,
} from '#wire/gen/ssh_pb';
import type { CallOptions, ResponseStream } from '../call/call-types.ts';
import type { ServiceCaller } from '../call/typed-client.ts';
import { hearErrors, type PackResult, type Stdio } from './git-streams.ts';
import { type CommandOutput, followCommand } from './remote-command.ts';
import { StdinRequests } from './stdin-requests.ts';

/**
 * Runs `git upload-pack` on the server (RPC SSHUploadPack, removed in Gitaly 17).
 *
 * Resolves when the server ends the call, without waiting for `stdin`. On an error the call is
 * cancelled.
 *
 * @throws {CallError} the status of the call, with `metadata.exitCode`; {GitalyError} `stdin send
 *   error: …`
 */
export async function uploadPack(
  connection: ServiceCaller,
  io: Stdio,
  request: MessageInitShape<typeof SSHUploadPackRequestSchema>,
  options: CallOptions = {},
): Promise<PackResult> {
  return await runCommand(request, io, (requests) =>
    connection.client(SSHService).sshUploadPack(requests, options),
  );
}

/**
 * Runs `git receive-pack` on the server (RPC SSHReceivePack). The request contains the repository
 * and the user. Resolves and throws as `uploadPack` does.
 */
export async function receivePack(
  connection: ServiceCaller,
  io: Stdio,
  request: MessageInitShape<typeof SSHReceivePackRequestSchema>,
  options: CallOptions = {},
): Promise<PackResult> {
  return await runCommand(request, io, (requests) =>
    connection.client(SSHService).sshReceivePack(requests, options),
  );
}

/**
 * Runs `git upload-archive` on the server (RPC SSHUploadArchive), the remote side of `git archive
 * --remote`. Resolves and throws as `uploadPack` does.
 */
export async function uploadArchive(
  connection: ServiceCaller,
  io: Stdio,
  request: MessageInitShape<typeof SSHUploadArchiveRequestSchema>,
  options: CallOptions = {},
): Promise<PackResult> {
  return await runCommand(request, io, (requests) =>
    connection.client(SSHService).sshUploadArchive(requests, options),
  );
}

async function runCommand<Request extends { readonly stdin?: Uint8Array }>(
  request: Request,
  io: Stdio,
  start: (requests: AsyncIterable<Request | { readonly stdin: Uint8Array }>) => ResponseStream<CommandOutput>,
): Promise<PackResult> {
  using _ = hearErrors(io);
  const requests = new StdinRequests<Request | { readonly stdin: Uint8Array }>(
    request,
    io.stdin,
    (stdin) => ({
      stdin,
    }),
  );
  await using call = start(requests);
  return await followCommand(call, requests, io);
}
