import { invalidArgument } from '#base/gitaly-error';
import { markMove } from '#domain/lifetimes/set-lifetime';
import { renameRepository as rename } from '#storage/lifecycle/rename-repository';
import type { Handlers } from '../dependencies.ts';

/** Moves a repository to another path of its storage. */
export const renameRepository: Handlers['renameRepository'] = async (request, _context, { storages }) => {
  const source = storages.open(request.repository);
  const { relativePath } = request;
  if (relativePath === '') throw invalidArgument('destination relative path is empty');
  const target = storages.locate({ storageName: source.storageName, relativePath });

  await markMove(source, target);
  await rename(storages, source, target);
  return {};
};
