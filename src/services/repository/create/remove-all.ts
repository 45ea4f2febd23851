import type { MessageInitShape } from '@bufbuild/protobuf';
import { wrap } from '#base/gitaly-error';
import { removeAll as remove } from '#storage/lifecycle/remove-all';
import type { RemoveAllRequest, RemoveAllResponseSchema } from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Removes everything in a storage. */
export async function removeAll(
  { storageName }: RemoveAllRequest,
  { storages }: RepositoryDependencies,
): Promise<MessageInitShape<typeof RemoveAllResponseSchema>> {
  try {
    await remove(storages, storages.storage(storageName));
    return {};
  } catch (error) {
    throw wrap(error, 'remove all');
  }
}
