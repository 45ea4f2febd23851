import type { MessageInitShape } from '@bufbuild/protobuf';
import { invalidArgument, withCode, wrapped } from '#base/gitaly-error';
import { parseConfigOptions } from '#domain/git-service/config-options';
import type { ConfigPair } from '#git/command/config';
import { bytesOf, openRequests } from '#services/convert/request/first-request';
import { clientBytes, closeSidechannel, openSidechannel } from '#services/convert/request/sidechannel';
import { toStatisticsMessage } from '#services/convert/response/negotiation-statistics';
import { messageWriter, streamResponses } from '#services/convert/response/stream-responses';
import type {
  PostUploadPackResponseSchema,
  PostUploadPackWithSidechannelRequest,
} from '#wire/gen/smarthttp_pb';
import type { Handlers } from './dependencies.ts';
import { servePost } from './serve-post.ts';

type Response = MessageInitShape<typeof PostUploadPackResponseSchema>;

/** Serves a fetch within gRPC, as clients of Gitaly 15 request it. */
export const postUploadPack: Handlers['postUploadPack'] = async function* (requests, context, deps) {
  const { first, rest } = await openRequests(requests);
  if (first.data.length > 0) throw invalidArgument('non-empty Data');
  const repository = deps.storages.open(first.repository);
  const config = parseConfigOptions(first.gitConfigOptions);
  deps.observeGitProtocol?.(context.method, first.gitProtocol);

  yield* streamResponses<Response>(context.signal, async (respond, signal) => {
    const streams = {
      input: bytesOf(rest, (request) => request.data),
      stdout: messageWriter(respond, (data) => ({ data })),
    };
    await servePost({ repository, config, gitProtocol: first.gitProtocol, streams, signal }, context, deps);
  });
};

/** Serves a fetch whose bytes use the sidechannel instead of gRPC messages. */
export const postUploadPackWithSidechannel: Handlers['postUploadPackWithSidechannel'] = async (
  request,
  context,
  deps,
) => {
  const repository = deps.storages.open(request.repository);
  const config = configOf(request);
  deps.observeGitProtocol?.(context.method, request.gitProtocol);

  const { signal } = context;
  const sidechannel = await openSidechannel(context, 'open sidechannel', 'UNAVAILABLE');
  try {
    const streams = { input: clientBytes(sidechannel), stdout: sidechannel, isDirect: true };
    const { gitProtocol } = request;
    const statistics = await servePost({ repository, config, gitProtocol, streams, signal }, context, deps);
    await closeSidechannel(sidechannel).catch(wrapped('close sidechannel connection'));
    return { packfileNegotiationStatistics: toStatisticsMessage(statistics) };
  } finally {
    sidechannel.destroy();
  }
};

function configOf(request: PostUploadPackWithSidechannelRequest): ConfigPair[] {
  try {
    return parseConfigOptions(request.gitConfigOptions);
  } catch (error) {
    throw withCode(error, 'INVALID_ARGUMENT');
  }
}
