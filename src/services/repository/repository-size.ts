import type { MessageInitShape } from '@bufbuild/protobuf';
import { directorySizeBytes } from '#storage/statistics/directory-size';
import { REPOSITORY_SIZE_OPTIONS } from '#storage/statistics/repository-statistics';
import type { RepositorySizeRequest, RepositorySizeResponseSchema } from '#wire/gen/repository_pb';
import type { RepositoryRooms } from './index.ts';

const KIBIBYTE = 1024n;

/** Size of a repository's files in KiB, rounded down. What it borrows from others does not count. */
export async function repositorySize(
  request: RepositorySizeRequest,
  rooms: RepositoryRooms,
): Promise<MessageInitShape<typeof RepositorySizeResponseSchema>> {
  const repository = rooms.storages.open(request.repository);
  return { size: (await directorySizeBytes(repository.path, REPOSITORY_SIZE_OPTIONS)) / KIBIBYTE };
}
