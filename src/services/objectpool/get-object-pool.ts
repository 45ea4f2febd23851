import { messageOf } from '#base/gitaly-error';
import { poolOfMember } from '#domain/object-pool/pool-of-member';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type { GetObjectPoolRequest, GetObjectPoolResponseSchema } from '#wire/gen/objectpool_pb';
import type { ObjectPoolDependencies } from './dependencies.ts';

/**
 * Returns the pool from which a repository borrows objects. Alternates that name something else are
 * like none, and a field in the log.
 */
export async function getObjectPool(
  request: GetObjectPoolRequest,
  { log }: HandlerContext,
  deps: ObjectPoolDependencies,
): ResponseOf<typeof GetObjectPoolResponseSchema> {
  const member = deps.storages.open(request.repository);

  const repository = await poolOfMember(deps.storages, member).catch((error: unknown) => {
    log.add({ invalid_alternates: messageOf(error) });
    return undefined;
  });
  if (repository === undefined) return {};
  const { storageName, relativePath } = repository;
  return { objectPool: { repository: { storageName, relativePath } } };
}
