import { wrapped } from '#base/gitaly-error';
import { BAND, sideBandWriter } from '#base/pkt-line/side-band';
import { parseConfigOptions } from '#domain/git-service/config-options';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import { clientBytes, closeSidechannel, openSidechannel } from '#services/convert/request/sidechannel';
import { toStatisticsMessage } from '#services/convert/response/negotiation-statistics';
import type {
  SSHUploadPackWithSidechannelRequest,
  SSHUploadPackWithSidechannelResponseSchema,
} from '#wire/gen/ssh_pb';
import type { SshDependencies } from './dependencies.ts';
import { ConversationError, serveConversation } from './serve-conversation.ts';

/**
 * Serves a fetch over SSH whose bytes use the sidechannel; git's two outputs are side-bands 1 and
 * 2.
 */
export async function sshUploadPackWithSidechannel(
  request: SSHUploadPackWithSidechannelRequest,
  context: HandlerContext,
  deps: SshDependencies,
): ResponseOf<typeof SSHUploadPackWithSidechannelResponseSchema> {
  // Gitaly's text, including the typo
  const sidechannel = await openSidechannel(context, 'opennig sidechannel', 'INTERNAL');
  try {
    const repository = deps.storages.open(request.repository);
    const config = parseConfigOptions(request.gitConfigOptions);
    deps.observeGitProtocol?.(context.method, request.gitProtocol);

    const { signal } = context;
    const { gitProtocol } = request;
    const streams = {
      input: untilBroken(clientBytes(sidechannel)),
      stdout: sideBandWriter(sidechannel, BAND.stdout),
      isDirect: true,
      stderr: sideBandWriter(sidechannel, BAND.stderr),
    };
    const statistics = await serveConversation(
      { repository, config, gitProtocol, streams, signal },
      context,
      deps,
    );
    await closeSidechannel(sidechannel, [streams.stdout, streams.stderr]).catch(wrapped('close sidechannel'));
    return { packfileNegotiationStatistics: toStatisticsMessage(statistics) };
  } catch (error) {
    throw error instanceof ConversationError ? error.error : error;
  } finally {
    sidechannel.destroy();
  }
}

/**
 * Yields bytes until the client disconnects. git decides about the consequences for the
 * conversation.
 */
async function* untilBroken(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* bytes;
  } catch {
    // git reads the end of its input.
  }
}
