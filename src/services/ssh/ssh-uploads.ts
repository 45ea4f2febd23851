import { codeOf, invalidArgument, wrap, wrapped } from '#base/gitaly-error';
import { BAND, sideBandWriter } from '#base/pkt-line/side-band';
import { parseConfigOptions } from '#domain/git-service/config-options';
import { uploadArchive } from '#domain/git-service/upload-archive';
import { bytesOf, type OpenedRequests, openRequests } from '#services/convert/request/first-request';
import { clientBytes, closeSidechannel, openSidechannel } from '#services/convert/request/sidechannel';
import { toStatisticsMessage } from '#services/convert/response/negotiation-statistics';
import { streamResponses } from '#services/convert/response/stream-responses';
import type { Repository } from '#storage/repository';
import type { Repository as RepositoryMessage } from '#wire/gen/shared_pb';
import type { Handlers, SshDependencies } from './dependencies.ts';
import { outputStreams, type SshResponse } from './respond-with-streams.ts';
import {
  ConversationError,
  failedConversation,
  refusedConversation,
  serveConversation,
  withPrefix,
} from './serve-conversation.ts';

/**
 * Serves a fetch over SSH within gRPC, as clients of Gitaly 15 and 16 request it. A failure sends
 * the exit status before it.
 */
export const sshUploadPack: Handlers['sSHUploadPack'] = async function* (requests, context, deps) {
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
};

/** Serves `git archive --remote`. The exit status is sent last, also when it is 0. */
export const sshUploadArchive: Handlers['sSHUploadArchive'] = async function* (requests, context, deps) {
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
};

/**
 * Serves a fetch over SSH whose bytes use the sidechannel; git's two outputs are side-bands 1 and
 * 2.
 */
export const sshUploadPackWithSidechannel: Handlers['sSHUploadPackWithSidechannel'] = async (
  request,
  context,
  deps,
) => {
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
};

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

/** The first message of a conversation with a git service. */
interface FirstMessage {
  readonly repository?: RepositoryMessage | undefined;
  readonly stdin: Uint8Array;
}

/**
 * Waits for the first message, which names the repository and has no input for git.
 *
 * @throws {GitalyError} INTERNAL `EOF`; INVALID_ARGUMENT; as opening the repository does.
 */
async function openConversation<T extends FirstMessage>(
  requests: AsyncIterable<T>,
  { storages }: Pick<SshDependencies, 'storages'>,
): Promise<OpenedRequests<T> & { readonly repository: Repository }> {
  const { first, rest } = await openRequests(requests);
  const repository = storages.open(first.repository);
  if (first.stdin.length > 0) throw invalidArgument('non-empty stdin in first request');
  return { first, rest, repository };
}
