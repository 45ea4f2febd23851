import type { MessageInitShape } from '@bufbuild/protobuf';
import { withCode } from '#base/gitaly-error';
import { MAX_LFS_POINTER_BYTES } from '#git/objects/parse-lfs-pointer';
import { walkObjects } from '#git/objects/walk-objects';
import type { HandlerContext } from '#rpc/server/handler';
import type { ListLFSPointersRequest, ListLFSPointersResponseSchema } from '#wire/gen/blob_pb';
import { requireRevisions } from '../convert/revision.ts';
import type { BlobRooms } from './index.ts';
import { chunkPointers, lfsPointers } from './lfs-pointers.ts';

/**
 * Sends the LFS pointers that revisions lead to, each once, at most `limit` (0 means all). Here a pointer of exactly
 * {@link MAX_LFS_POINTER_BYTES} is too big, as with Gitaly, who leaves the test to git.
 */
export async function* listLfsPointers(
  request: ListLFSPointersRequest,
  context: HandlerContext,
  rooms: BlobRooms,
): AsyncGenerator<MessageInitShape<typeof ListLFSPointersResponseSchema>> {
  const repository = rooms.storages.open(request.repository, { otherwise: 'INTERNAL' });
  const revisions = requireRevisions(request.revisions, { allowPathScoped: true });

  const walk = (signal: AbortSignal) =>
    walkObjects(repository.git, repository, { revisions, type: 'blob', blobsBelowBytes: MAX_LFS_POINTER_BYTES, signal });
  const pointers = lfsPointers(repository.objects, walk, { signal: context.signal, limit: request.limit });
  try {
    for await (const chunk of chunkPointers(pointers)) yield { lfsPointers: chunk };
  } catch (error) {
    throw withCode(error, 'INTERNAL');
  }
}
