import { disconnectMember } from '#domain/object-pool/disconnect-member';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type {
  DisconnectGitAlternatesRequest,
  DisconnectGitAlternatesResponseSchema,
} from '#wire/gen/objectpool_pb';
import type { ObjectPoolDependencies } from './dependencies.ts';

/** Makes a member of a pool independent of it. */
export async function disconnectGitAlternates(
  request: DisconnectGitAlternatesRequest,
  context: HandlerContext,
  deps: ObjectPoolDependencies,
): ResponseOf<typeof DisconnectGitAlternatesResponseSchema> {
  const member = deps.storages.open(request.repository);

  await disconnectMember(member, {
    maintenance: deps.housekeeping.runs,
    vote: deps.voteOf(context),
    signal: context.signal,
  });
  return {};
}
