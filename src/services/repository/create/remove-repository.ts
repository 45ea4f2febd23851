import { messageOf, wrap } from '#base/gitaly-error';
import { bundleStorageOf } from '#services/convert/request/bundle-uri';
import { removeAll as removeEverything } from '#storage/lifecycle/remove-all';
import { removeRepository as remove } from '#storage/lifecycle/remove-repository';
import type { Handlers } from '../dependencies.ts';

/** Removes a repository, even if others borrow its objects. */
export const removeRepository: Handlers['removeRepository'] = async (request, context, deps) => {
  const repository = deps.storages.open(request.repository);

  await remove(deps.storages, repository, {
    vote: deps.voteOf(context),
    onLeftover: (error) => context.log.add({ remove_repository_leftover: messageOf(error) }),
  });
  const { relativePath, storageName } = repository;
  const bundleStorage = bundleStorageOf(repository, context);
  // Those of the node's own storage are removed whatever removes the repository.
  if (bundleStorage !== storageName)
    deps.bundleUris?.automatic.removeLater({ storageName: bundleStorage, relativePath });
  return {};
};

export const removeAll: Handlers['removeAll'] = async ({ storageName }, _context, { storages }) => {
  try {
    await removeEverything(storages, storages.storage(storageName));
    return {};
  } catch (error) {
    throw wrap(error, 'remove all');
  }
};
