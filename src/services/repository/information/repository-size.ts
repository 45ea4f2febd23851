import type { ResponseOf } from '#rpc/server/handler';
import { directorySizeBytes } from '#storage/statistics/directory-size';
import { REPOSITORY_SIZE_OPTIONS } from '#storage/statistics/repository-statistics';
import type { RepositorySizeRequest, RepositorySizeResponseSchema } from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

const KIBIBYTE = 1024n;

/**
 * Returns the size of a repository's files in KiB, rounded down. Objects of alternates do not
 * count.
 */
export async function repositorySize(
  request: RepositorySizeRequest,
  deps: RepositoryDependencies,
): ResponseOf<typeof RepositorySizeResponseSchema> {
  const repository = deps.storages.open(request.repository);
  const options = { ...REPOSITORY_SIZE_OPTIONS, sums: deps.storages.directorySums };
  return { size: (await directorySizeBytes(repository.path, options)) / KIBIBYTE };
}
