import type { MessageInitShape } from '@bufbuild/protobuf';
import { wrap } from '#base/gitaly-error';
import { parseConfigOptions } from '#domain/git-service/config-options';
import { BAND, sideBandWriter } from '#rpc/common/side-band';
import type { HandlerContext } from '#rpc/server/handler';
import type { SSHUploadPackWithSidechannelRequest, SSHUploadPackWithSidechannelResponseSchema } from '#wire/gen/ssh_pb';
import { toStatisticsMessage } from '../convert/negotiation-statistics.ts';
import { clientBytes, closeSidechannel, openSidechannel } from '../convert/sidechannel.ts';
import type { SshRooms } from './index.ts';
import { ConversationError, runUploadPack } from './run-upload-pack.ts';

/** Serves a fetch over SSH whose bytes go over the sidechannel; git's two outputs travel as side-bands 1 and 2. */
export async function sshUploadPackWithSidechannel(
  request: SSHUploadPackWithSidechannelRequest,
  context: HandlerContext,
  rooms: SshRooms,
): Promise<MessageInitShape<typeof SSHUploadPackWithSidechannelResponseSchema>> {
  const sidechannel = await openSidechannel(context, 'opennig sidechannel', 'INTERNAL'); // the text is Gitaly's, typo and all
  try {
    const repository = rooms.storages.open(request.repository);
    const config = parseConfigOptions(request.gitConfigOptions);
    rooms.observeGitProtocol?.(context.method, request.gitProtocol);

    const { signal } = context;
    const { gitProtocol } = request;
    const streams = {
      input: untilBroken(clientBytes(sidechannel)),
      stdout: sideBandWriter(sidechannel, BAND.stdout),
      isDirect: true,
      stderr: sideBandWriter(sidechannel, BAND.stderr),
    };
    const statistics = await runUploadPack({ repository, config, gitProtocol, streams, signal }, context, rooms);
    await closeSidechannel(sidechannel, [streams.stdout, streams.stderr]).catch((error: unknown) => {
      throw wrap(error, 'close sidechannel');
    });
    return { packfileNegotiationStatistics: toStatisticsMessage(statistics) };
  } catch (error) {
    throw error instanceof ConversationError ? error.error : error;
  } finally {
    sidechannel.destroy();
  }
}

/** A client that breaks off has nothing more to say. What that means for the conversation is for git to judge. */
async function* untilBroken(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* bytes;
  } catch {
    // git sees the end of its input.
  }
}
