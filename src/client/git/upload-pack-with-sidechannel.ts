import type { MessageInitShape } from '@bufbuild/protobuf';
import { BAND, readSideBand } from '#base/pkt-line/side-band';
import { writeChunk } from '#base/streams/copy-stream';
import { SSHService, type SSHUploadPackWithSidechannelRequestSchema } from '#wire/gen/ssh_pb';
import type { CallOptions } from '../call/call-types.ts';
import type { ServiceCaller } from '../call/typed-client.ts';
import type { SidechannelConnection, SidechannelRegistry } from '../sidechannel-registry.ts';
import { hearErrors, type PackResult, type Stdio } from './git-streams.ts';
import { exchange } from './sidechannel-copy.ts';
import { withSidechannel } from './with-sidechannel.ts';

/**
 * Runs `git upload-pack` on the server, with its streams over a sidechannel (RPC
 * SSHUploadPackWithSidechannel). The connection is from `dialSidechannel` with the same registry.
 *
 * Resolves when the server has ended, with exit code 0, without waiting for `stdin`.
 *
 * @throws {CallError} the status of the call; {GitalyError} `copy request: …`, `close request: …`,
 *   `copy response: …`
 */
export async function uploadPackWithSidechannel(
  connection: ServiceCaller,
  registry: SidechannelRegistry,
  io: Stdio,
  request: MessageInitShape<typeof SSHUploadPackWithSidechannelRequestSchema>,
  options: CallOptions = {},
): Promise<PackResult> {
  using _ = hearErrors(io);
  const response = await withSidechannel(registry, options, {
    callback: (sidechannel) => exchange(sidechannel, io.stdin, (source) => takeBands(source, io)),
    call: (callOptions) => connection.client(SSHService).sshUploadPackWithSidechannel(request, callOptions),
  });
  return { exitCode: 0, packfileNegotiationStatistics: response.packfileNegotiationStatistics };
}

async function takeBands(source: SidechannelConnection, io: Pick<Stdio, 'stdout' | 'stderr'>): Promise<void> {
  for await (const { band, data } of readSideBand(source)) await writeChunk(streamOf(band, io), data);
}

function streamOf(band: number, { stdout, stderr }: Pick<Stdio, 'stdout' | 'stderr'>): Stdio['stdout'] {
  if (band === BAND.stdout) return stdout;
  if (band === BAND.stderr) return stderr;
  throw new Error(`unexpected band: ${band}`);
}
