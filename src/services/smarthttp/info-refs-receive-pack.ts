import { parseConfigOptions } from '#domain/git-service/config-options';
import { advertiseToPush } from '#domain/receive-pack/advertise-to-push';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import type { InfoRefsRequest, InfoRefsResponseSchema } from '#wire/gen/smarthttp_pb';
import type { SmartHttpDependencies } from './dependencies.ts';

/** Sends the references that a push may see. Never cached: a push depends on the current state. */
export async function* infoRefsReceivePack(
  request: InfoRefsRequest,
  { method, signal }: HandlerContext,
  deps: SmartHttpDependencies,
): ResponsesOf<typeof InfoRefsResponseSchema> {
  const repository = deps.storages.open(request.repository);
  const config = parseConfigOptions(request.gitConfigOptions);
  deps.observeGitProtocol?.(method, request.gitProtocol);

  const { gitProtocol } = request;
  const chunks = advertiseToPush(repository, { config, gitProtocol, signal }, deps.pushCapabilities);
  for await (const data of chunks) yield { data };
}
