import { GitalyError } from '#base/gitaly-error';
import { uploadArchive } from '#domain/upload-archive/upload-archive';
import type { HandlerContext } from '#rpc/server/handler';
import type { SSHUploadArchiveRequest } from '#wire/gen/ssh_pb';
import { bytesOf, openRequests } from '../convert/first-request.ts';
import { streamResponses } from '../convert/stream-responses.ts';
import type { SshRooms } from './index.ts';
import { outputStreams, type SshResponse } from './respond-with-streams.ts';
import { failedConversation, refusedConversation, withPrefix } from './run-upload-pack.ts';

/** Serves `git archive --remote`. The exit status comes last, also when it is 0. */
export async function* sshUploadArchive(
  requests: AsyncIterable<SSHUploadArchiveRequest>,
  context: HandlerContext,
  rooms: SshRooms,
): AsyncGenerator<SshResponse> {
  const { first, rest } = await openRequests(requests);
  if (first === undefined) throw new GitalyError('INTERNAL', 'EOF');
  const repository = rooms.storages.open(first.repository);
  if (first.stdin.length > 0) throw new GitalyError('INVALID_ARGUMENT', 'non-empty stdin in first request');

  yield* streamResponses<SshResponse>(context.signal, async (respond, signal) => {
    const streams = { input: bytesOf(rest, (request) => request.stdin), ...outputStreams(respond) };
    const archive = { repository, streams, negotiationTimeoutMs: rooms.uploadArchiveTimeoutMs, signal };
    const result = await uploadArchive(archive).catch((error: unknown) => {
      throw withPrefix('running upload-archive', failedConversation(error)).error;
    });
    if (result.exit.code !== 0) {
      const failure = refusedConversation(result);
      // A conversation that we ended has no exit status that means something.
      if (failure.exitStatus === undefined) throw withPrefix('running upload-archive', failure).error;
      await respond({ exitStatus: { value: failure.exitStatus } });
      throw withPrefix('send', failure).error;
    }
    await respond({ exitStatus: { value: 0 } });
  });
}
