import type { MessageInitShape } from '@bufbuild/protobuf';
import { codeOf } from '#base/gitaly-error';
import type { RepositoryExistsRequest, RepositoryExistsResponseSchema } from '#wire/gen/repository_pb';
import type { RepositoryRooms } from './index.ts';

/** Whether there is a valid repository. A directory that is none is no error; a storage that is missing is one. */
export function repositoryExists(
  request: RepositoryExistsRequest,
  rooms: RepositoryRooms,
): MessageInitShape<typeof RepositoryExistsResponseSchema> {
  try {
    rooms.storages.open(request.repository, { otherwise: 'INTERNAL' });
    return { exists: true };
  } catch (error) {
    const code = codeOf(error);
    if (code !== 'NOT_FOUND' && code !== 'FAILED_PRECONDITION') throw error;
    rooms.storages.locate(request.repository); // tells a missing storage
    return { exists: false };
  }
}
