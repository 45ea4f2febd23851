import { codeOf, wrap } from '#base/gitaly-error';
import { uploadArchive } from '#domain/git-service/upload-archive';
import type { HandlerContext } from '#rpc/server/handler';
import { bytesOf } from '#services/convert/request/first-request';
import { streamResponses } from '#services/convert/response/stream-responses';
import type { SSHUploadArchiveRequest } from '#wire/gen/ssh_pb';
import type { SshDependencies } from './dependencies.ts';
import { openConversation } from './open-conversation.ts';
import { outputStreams, type SshResponse } from './respond-with-streams.ts';
import { failedConversation, refusedConversation, withPrefix } from './serve-conversation.ts';

/** Serves `git archive --remote`. The exit status is sent last, also when it is 0. */
export async function* sshUploadArchive(
  requests: AsyncIterable<SSHUploadArchiveRequest>,
  context: HandlerContext,
  deps: SshDependencies,
): AsyncGenerator<SshResponse> {
  const { repository, rest } = await openConversation(requests, deps);

  yield* streamResponses<SshResponse>(context.signal, async (respond, signal) => {
    const streams = { input: bytesOf(rest, (request) => request.stdin), ...outputStreams(respond) };
    const archive = { repository, streams, negotiationTimeoutMs: deps.uploadArchiveTimeoutMs, signal };
    const result = await uploadArchive(archive).catch((error: unknown) => {
      if (codeOf(error) === 'FAILED_PRECONDITION') throw wrap(error, 'running upload-archive');
      throw withPrefix('running upload-archive', failedConversation(error)).error;
    });
    if (result.exit.code !== 0) {
      const failure = refusedConversation(result);
      // The exit code is meaningless if this server ended the conversation.
      if (failure.exitStatus === undefined) throw withPrefix('running upload-archive', failure).error;
      await respond({ exitStatus: { value: failure.exitStatus } });
      throw withPrefix('send', failure).error;
    }
    await respond({ exitStatus: { value: 0 } });
  });
}
