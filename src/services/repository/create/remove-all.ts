import { wrap } from '#base/gitaly-error';
import type { ResponseOf } from '#rpc/server/handler';
import { removeAll as remove } from '#storage/lifecycle/remove-all';
import type { RemoveAllRequest, RemoveAllResponseSchema } from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Removes everything in a storage. */
export async function removeAll(
  { storageName }: RemoveAllRequest,
  { storages }: RepositoryDependencies,
): ResponseOf<typeof RemoveAllResponseSchema> {
  try {
    await remove(storages, storages.storage(storageName));
    return {};
  } catch (error) {
    throw wrap(error, 'remove all');
  }
}
