import type { MessageInitShape } from '@bufbuild/protobuf';
import { advertiseReferences } from '#domain/git-service/advertise-references';
import { parseConfigOptions } from '#domain/git-service/config-options';
import type { HandlerContext } from '#rpc/server/handler';
import type { InfoRefsRequest, InfoRefsResponseSchema } from '#wire/gen/smarthttp_pb';
import type { SmartHttpRooms } from './index.ts';

/** The references that a push may see. Never cached: a push decides on what is there now. */
export async function* infoRefsReceivePack(
  request: InfoRefsRequest,
  context: HandlerContext,
  rooms: SmartHttpRooms,
): AsyncGenerator<MessageInitShape<typeof InfoRefsResponseSchema>> {
  const repository = rooms.storages.open(request.repository);
  const config = parseConfigOptions(request.gitConfigOptions);
  rooms.observeGitProtocol?.(context.method, request.gitProtocol);

  const { gitProtocol } = request;
  const chunks = advertiseReferences(repository, { service: 'receive-pack', config, gitProtocol, signal: context.signal });
  for await (const data of chunks) yield { data };
}
