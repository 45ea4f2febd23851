import { withCode, wrapped } from '#base/gitaly-error';
import { parseConfigOptions } from '#domain/git-service/config-options';
import type { ConfigPair } from '#git/command/config';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import { clientBytes, closeSidechannel, openSidechannel } from '#services/convert/request/sidechannel';
import { toStatisticsMessage } from '#services/convert/response/negotiation-statistics';
import type {
  PostUploadPackWithSidechannelRequest,
  PostUploadPackWithSidechannelResponseSchema,
} from '#wire/gen/smarthttp_pb';
import type { SmartHttpDependencies } from './dependencies.ts';
import { servePost } from './serve-post.ts';

/** Serves a fetch whose bytes use the sidechannel instead of gRPC messages. */
export async function postUploadPackWithSidechannel(
  request: PostUploadPackWithSidechannelRequest,
  context: HandlerContext,
  deps: SmartHttpDependencies,
): ResponseOf<typeof PostUploadPackWithSidechannelResponseSchema> {
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
}

function configOf(request: PostUploadPackWithSidechannelRequest): ConfigPair[] {
  try {
    return parseConfigOptions(request.gitConfigOptions);
  } catch (error) {
    throw withCode(error, 'INVALID_ARGUMENT');
  }
}
