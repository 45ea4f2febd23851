import { messageOf } from '#base/gitaly-error';
import { deletePool } from '#domain/object-pool/delete-pool';
import { InvalidPoolError, openPool } from '#domain/object-pool/open-pool';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type { Repository } from '#storage/repository';
import type { DeleteObjectPoolRequest, DeleteObjectPoolResponseSchema } from '#wire/gen/objectpool_pb';
import type { ObjectPoolDependencies } from './dependencies.ts';

/** Deletes an object pool. A missing one, or one that is no repository, is no error. */
export async function deleteObjectPool(
  request: DeleteObjectPoolRequest,
  context: HandlerContext,
  deps: ObjectPoolDependencies,
): ResponseOf<typeof DeleteObjectPoolResponseSchema> {
  let pool: Repository;
  try {
    pool = openPool(deps.storages, request.objectPool?.repository);
  } catch (error) {
    if (error instanceof InvalidPoolError) return {};
    throw error;
  }

  await deletePool(deps.storages, pool, {
    maintenance: deps.housekeeping.runs,
    signal: context.signal,
    onLeftover: (error) => context.log.add({ remove_repository_leftover: messageOf(error) }),
  });
  return {};
}
