import { invalidArgument } from '#base/gitaly-error';
import { markMove } from '#domain/lifetimes/set-lifetime';
import type { ResponseOf } from '#rpc/server/handler';
import { renameRepository as rename } from '#storage/lifecycle/rename-repository';
import type {
  RenameRepositoryRequest,
  RenameRepositoryResponseSchema,
} from '#wire/gen/repository-service_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Moves a repository to another path of its storage. */
export async function renameRepository(
  request: RenameRepositoryRequest,
  { storages }: RepositoryDependencies,
): ResponseOf<typeof RenameRepositoryResponseSchema> {
  const source = storages.open(request.repository);
  const { relativePath } = request;
  if (relativePath === '') throw invalidArgument('destination relative path is empty');
  const target = storages.locate({ storageName: source.storageName, relativePath });

  await markMove(source, target);
  await rename(storages, source, target);
  return {};
}
