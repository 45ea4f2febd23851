import { parseConfigOptions } from '#domain/git-service/config-options';
import type { HandlerContext } from '#rpc/server/handler';
import { bytesOf } from '#services/convert/request/first-request';
import { streamResponses } from '#services/convert/response/stream-responses';
import type { SSHUploadPackRequest } from '#wire/gen/ssh_pb';
import type { SshDependencies } from './dependencies.ts';
import { openConversation } from './open-conversation.ts';
import { outputStreams, type SshResponse } from './respond-with-streams.ts';
import { ConversationError, serveConversation } from './serve-conversation.ts';

/**
 * Serves a fetch over SSH within gRPC, as clients of Gitaly 15 and 16 request it. A failure sends
 * the exit status before it.
 */
export async function* sshUploadPack(
  requests: AsyncIterable<SSHUploadPackRequest>,
  context: HandlerContext,
  deps: SshDependencies,
): AsyncGenerator<SshResponse> {
  const { first, repository, rest } = await openConversation(requests, deps);

  yield* streamResponses<SshResponse>(context.signal, async (respond, signal) => {
    try {
      const config = parseConfigOptions(first.gitConfigOptions);
      deps.observeGitProtocol?.(context.method, first.gitProtocol);
      const streams = { input: bytesOf(rest, (request) => request.stdin), ...outputStreams(respond) };
      await serveConversation(
        { repository, config, gitProtocol: first.gitProtocol, streams, signal },
        context,
        deps,
      );
    } catch (error) {
      const failure = error instanceof ConversationError ? error : undefined;
      await respond({ exitStatus: { value: failure?.exitStatus ?? 0 } });
      throw failure?.error ?? error;
    }
  });
}
