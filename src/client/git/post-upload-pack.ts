import type { MessageInitShape } from '@bufbuild/protobuf';
import { copyStream } from '#base/streams/copy-stream';
import { stoppableChunks } from '#base/streams/stoppable-chunks';
import type { PackfileNegotiationStatistics } from '#wire/gen/packfile_pb';
import { type PostUploadPackWithSidechannelRequestSchema, SmartHTTPService } from '#wire/gen/smarthttp_pb';
import type { CallOptions } from '../call/call-types.ts';
import type { ServiceCaller } from '../call/typed-client.ts';
import type { SidechannelRegistry } from '../sidechannel-registry.ts';
import { hearErrors, type Stdio } from './git-streams.ts';
import { exchange } from './sidechannel-copy.ts';
import { withSidechannel } from './with-sidechannel.ts';

/**
 * Serves one `POST …/git-upload-pack` (RPC PostUploadPackWithSidechannel): `stdin` is the request
 * body; the response is written to `stdout`, which stays open. The connection is from
 * `dialSidechannel` with the same registry.
 *
 * @returns statistics of the request, if the server counts them (since 16.7).
 * @throws {CallError} the status of the call; {GitalyError} `copy request: …`, `close request: …`,
 *   `copy response: …`
 */
export async function postUploadPack(
  connection: ServiceCaller,
  registry: SidechannelRegistry,
  io: Pick<Stdio, 'stdin' | 'stdout'>,
  request: MessageInitShape<typeof PostUploadPackWithSidechannelRequestSchema>,
  options: CallOptions = {},
): Promise<PackfileNegotiationStatistics | undefined> {
  using _ = hearErrors(io);
  const response = await withSidechannel(registry, options, {
    callback: (sidechannel) =>
      exchange(sidechannel, io.stdin, async (source) => {
        await copyStream(stoppableChunks(source), io.stdout);
      }),
    call: (callOptions) =>
      connection.client(SmartHTTPService).postUploadPackWithSidechannel(request, callOptions),
  });
  return response.packfileNegotiationStatistics;
}
