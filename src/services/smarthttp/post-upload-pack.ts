import type { MessageInitShape } from '@bufbuild/protobuf';
import { invalidArgument } from '#base/gitaly-error';
import { parseConfigOptions } from '#domain/git-service/config-options';
import type { HandlerContext } from '#rpc/server/handler';
import { bytesOf, openRequests } from '#services/convert/request/first-request';
import { messageWriter, streamResponses } from '#services/convert/response/stream-responses';
import type { PostUploadPackRequest, PostUploadPackResponseSchema } from '#wire/gen/smarthttp_pb';
import type { SmartHttpDependencies } from './dependencies.ts';
import { servePost } from './serve-post.ts';

type Response = MessageInitShape<typeof PostUploadPackResponseSchema>;

/** Serves a fetch within gRPC, as clients of Gitaly 15 request it. */
export async function* postUploadPack(
  requests: AsyncIterable<PostUploadPackRequest>,
  context: HandlerContext,
  deps: SmartHttpDependencies,
): AsyncGenerator<Response> {
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
}
