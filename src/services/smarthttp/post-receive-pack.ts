import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, invalidArgument, wrap } from '#base/gitaly-error';
import { GitStartError } from '#domain/git-service/start-service';
import { castFinalVote } from '#domain/receive-pack/final-vote';
import { describeExit } from '#git/command/process/exit-error';
import { bytesOf, openRequests } from '#services/convert/request/first-request';
import { requestedPush } from '#services/convert/request/requested-push';
import { noteProtocolError } from '#services/convert/response/protocol-error';
import { messageWriter, streamResponses } from '#services/convert/response/stream-responses';
import type { PostReceivePackResponseSchema } from '#wire/gen/smarthttp_pb';
import type { Handlers } from './dependencies.ts';

type Response = MessageInitShape<typeof PostReceivePackResponseSchema>;

/** Receives a push. Refused references are reported in git's response, and the call is OK. */
export const postReceivePack: Handlers['postReceivePack'] = async function* (requests, context, deps) {
  const { first, rest } = await openRequests(requests);
  if (first.glId === '') throw invalidArgument('empty GlId');
  if (first.data.length > 0) throw invalidArgument('non-empty Data');
  const requested = requestedPush(first, 'http', context, deps.storages);
  deps.observeGitProtocol?.(context.method, first.gitProtocol);

  yield* streamResponses<Response>(context.signal, async (respond, signal) => {
    const push = {
      ...requested,
      streams: {
        input: bytesOf(rest, (request) => request.data),
        stdout: messageWriter(respond, (data) => ({ data })),
      },
      signal,
    };
    const { exit, stderr } = await deps.receivePack.run(push).catch((error: unknown) => {
      if (error instanceof GitStartError)
        throw wrap(error.cause, 'spawning receive-pack', 'FAILED_PRECONDITION');
      throw wrap(error, 'waiting for receive-pack', 'FAILED_PRECONDITION');
    });
    if (exit.code !== 0) {
      noteProtocolError(context, stderr);
      throw new GitalyError('FAILED_PRECONDITION', `waiting for receive-pack: ${describeExit(exit)}`);
    }
    await castFinalVote(deps.voter, requested.transaction, { signal });
  });
};
