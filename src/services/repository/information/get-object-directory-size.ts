import type { ResponseOf } from '#rpc/server/handler';
import { directorySizeBytes } from '#storage/statistics/directory-size';
import type {
  GetObjectDirectorySizeRequest,
  GetObjectDirectorySizeResponseSchema,
} from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

const KIBIBYTE = 1024n;

/**
 * Returns the size of the object directory that the request names, in KiB, rounded down. For a
 * quarantine, only its own size counts.
 */
export async function getObjectDirectorySize(
  request: GetObjectDirectorySizeRequest,
  deps: RepositoryDependencies,
): ResponseOf<typeof GetObjectDirectorySizeResponseSchema> {
  const directory = deps.storages.objectDirectory(request.repository);
  return { size: (await directorySizeBytes(directory, { sums: deps.storages.directorySums })) / KIBIBYTE };
}
