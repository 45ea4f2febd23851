import { linkMember } from '#domain/object-pool/link-member';
import { openPool } from '#domain/object-pool/open-pool';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type {
  LinkRepositoryToObjectPoolRequest,
  LinkRepositoryToObjectPoolResponseSchema,
} from '#wire/gen/objectpool_pb';
import type { ObjectPoolDependencies } from './dependencies.ts';

/** Lets a repository borrow objects from a pool. */
export async function linkRepositoryToObjectPool(
  request: LinkRepositoryToObjectPoolRequest,
  context: HandlerContext,
  deps: ObjectPoolDependencies,
): ResponseOf<typeof LinkRepositoryToObjectPoolResponseSchema> {
  const member = deps.storages.open(request.repository);
  const pool = openPool(deps.storages, request.objectPool?.repository);

  const { borrowers } = deps.storages;
  await linkMember(pool, member, { borrowers, vote: deps.voteOf(context), signal: context.signal });
  return {};
}
