import { GitalyError, invalidArgument, messageOf, wrap } from '#base/gitaly-error';
import type { ServiceResult } from '#domain/git-service/service-streams';
import { GitStartError } from '#domain/git-service/start-service';
import { castFinalVote } from '#domain/receive-pack/final-vote';
import { describeExit } from '#git/command/process/exit-error';
import { bytesOf, openRequests } from '#services/convert/request/first-request';
import { requestedPush } from '#services/convert/request/requested-push';
import { type Respond, streamResponses } from '#services/convert/response/stream-responses';
import type { Handlers } from './dependencies.ts';
import { outputStreams, type SshResponse } from './respond-with-streams.ts';

/**
 * Receives a push over SSH. An exit status is sent only when git failed; refused references are
 * reported in git's response.
 */
export const sshReceivePack: Handlers['sSHReceivePack'] = async function* (requests, context, deps) {
  const { first, rest } = await openRequests(requests);
  if (first.glId === '') throw invalidArgument('empty GlId');
  if (first.stdin.length > 0) throw invalidArgument('non-empty data in first request');
  const requested = requestedPush(first, 'ssh', context, deps.storages);
  deps.observeGitProtocol?.(context.method, first.gitProtocol);

  yield* streamResponses<SshResponse>(context.signal, async (respond, signal) => {
    const push = {
      ...requested,
      streams: { input: bytesOf(rest, (request) => request.stdin), ...outputStreams(respond) },
      signal,
    };
    const result = await deps.receivePack.run(push).catch((error: unknown) => {
      if (error instanceof GitStartError) throw wrap(error.cause, 'start cmd');
      throw new GitalyError('INTERNAL', `cmd wait: ${messageOf(error)}`, { cause: error });
    });
    if (result.exit.code !== 0) await fail(result, respond);
    await castFinalVote(deps.voter, requested.transaction, { signal });
  });
};

async function fail({ exit, stderr }: ServiceResult, respond: Respond<SshResponse>): Promise<never> {
  await respond({ exitStatus: { value: exit.code ?? -1 } });
  if (stderr === 'fatal: the remote end hung up unexpectedly\n')
    throw new GitalyError('CANCELLED', 'user canceled the push');
  throw new GitalyError('INTERNAL', `cmd wait: ${describeExit(exit)}`);
}
