import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, invalidArgument, messageOf, withCode, wrap, wrapped } from '#base/gitaly-error';
import { parseConfigOptions } from '#domain/git-service/config-options';
import { ClientGoneError } from '#domain/git-service/service-streams';
import { GitStartError } from '#domain/git-service/start-service';
import { Negotiation, type NegotiationStatistics } from '#domain/upload-pack/negotiation';
import type { ConfigPair } from '#git/command/config';
import { describeExit } from '#git/command/process/exit-error';
import { withLimitError } from '#rpc/common/limit-error';
import type { HandlerContext } from '#rpc/server/handler';
import { bytesOf, openRequests } from '#services/convert/request/first-request';
import { type RequestedFetch, serveFetch } from '#services/convert/request/serve-fetch';
import { clientBytes, closeSidechannel, openSidechannel } from '#services/convert/request/sidechannel';
import { toStatisticsMessage } from '#services/convert/response/negotiation-statistics';
import { noteProtocolError } from '#services/convert/response/protocol-error';
import { messageWriter, streamResponses } from '#services/convert/response/stream-responses';
import type {
  PostUploadPackResponseSchema,
  PostUploadPackWithSidechannelRequest,
} from '#wire/gen/smarthttp_pb';
import type { Handlers, SmartHttpDependencies } from './dependencies.ts';

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

const NO_STATISTICS = new Negotiation().statistics;

/**
 * Serves one POST of a fetch. @returns the statistics of the request; none if it could not be
 * parsed completely.
 */
async function servePost(
  fetch: Omit<RequestedFetch, 'isStateless'>,
  context: HandlerContext,
  deps: SmartHttpDependencies,
): Promise<NegotiationStatistics> {
  const served = serveFetch({ ...fetch, isStateless: true }, context, deps);
  const result = await served.catch((error: unknown) => {
    throw explained(withLimitError(error));
  });
  const { exit, stderr } = result;
  const statistics = result.isWellFormed ? result.statistics : NO_STATISTICS;
  // A client of a shallow clone disconnects after the list of shallow commits, and connects again;
  // git reports an error then.
  if (exit.code !== 0 && (exit.code === undefined || statistics.deepen === '')) {
    noteProtocolError(context, stderr);
    throw new GitalyError(
      'FAILED_PRECONDITION',
      `running upload-pack: waiting for upload-pack: ${describeExit(exit)}`,
    );
  }
  return statistics;
}

function explained(error: unknown): GitalyError {
  if (error instanceof GitStartError)
    return wrap(error.cause, 'running upload-pack: spawning upload-pack', 'FAILED_PRECONDITION');
  if (error instanceof ClientGoneError) {
    return new GitalyError(
      'FAILED_PRECONDITION',
      `running upload-pack: copying stdout from upload-pack: ${messageOf(error)}`,
      { cause: error },
    );
  }
  return wrap(error, 'running upload-pack: waiting for upload-pack', 'FAILED_PRECONDITION');
}
