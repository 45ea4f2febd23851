import type { MessageInitShape } from '@bufbuild/protobuf';
import { directorySizeBytes } from '#storage/statistics/directory-size';
import type { GetObjectDirectorySizeRequest, GetObjectDirectorySizeResponseSchema } from '#wire/gen/repository_pb';
import type { RepositoryRooms } from './index.ts';

const KIBIBYTE = 1024n;

/** Size of the object directory that the request names, in KiB, rounded down: of a quarantine alone when it names one. */
export async function getObjectDirectorySize(
  request: GetObjectDirectorySizeRequest,
  rooms: RepositoryRooms,
): Promise<MessageInitShape<typeof GetObjectDirectorySizeResponseSchema>> {
  const directory = rooms.storages.objectDirectory(request.repository);
  return { size: (await directorySizeBytes(directory)) / KIBIBYTE };
}
