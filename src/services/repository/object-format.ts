import type { MessageInitShape } from '@bufbuild/protobuf';
import { wrap } from '#base/gitaly-error';
import type { ObjectFormatRequest, ObjectFormatResponseSchema } from '#wire/gen/repository_pb';
import { ObjectFormat } from '#wire/gen/shared_pb';
import type { RepositoryRooms } from './index.ts';

const FORMATS = { sha1: ObjectFormat.SHA1, sha256: ObjectFormat.SHA256 } as const;

/** Which hash a repository uses. */
export function objectFormat(
  request: ObjectFormatRequest,
  rooms: RepositoryRooms,
): MessageInitShape<typeof ObjectFormatResponseSchema> {
  const repository = rooms.storages.open(request.repository);
  try {
    return { format: FORMATS[rooms.storages.git.objectFormat(repository)] };
  } catch (error) {
    throw wrap(error, 'detecting object hash');
  }
}
