import { withCode } from '#base/gitaly-error';
import { MAX_LFS_POINTER_BYTES } from '#git/objects/parse/parse-lfs-pointer';
import { walkObjects } from '#git/objects/walk-objects';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import { requireRevisions } from '#services/convert/request/revision';
import type { ListLFSPointersRequest, ListLFSPointersResponseSchema } from '#wire/gen/blob_pb';
import type { BlobDependencies } from './dependencies.ts';
import { chunkPointers, lfsPointers } from './lfs-pointers.ts';

/**
 * Sends the LFS pointers that are reachable from revisions, each once, at most `limit` (0 means
 * all). A pointer of exactly {@link MAX_LFS_POINTER_BYTES} is too big here, as in Gitaly, where git
 * makes the check.
 */
export async function* listLfsPointers(
  request: ListLFSPointersRequest,
  context: HandlerContext,
  deps: BlobDependencies,
): ResponsesOf<typeof ListLFSPointersResponseSchema> {
  const repository = deps.storages.open(request.repository, { otherwise: 'INTERNAL' });
  const revisions = await requireRevisions(request.revisions, { allowPathScoped: true });

  const walk = (signal: AbortSignal) =>
    walkObjects(repository, {
      revisions,
      type: 'blob',
      blobsBelowBytes: MAX_LFS_POINTER_BYTES,
      signal,
    });
  const pointers = lfsPointers(repository.objects, walk, { signal: context.signal, limit: request.limit });
  try {
    for await (const chunk of chunkPointers(pointers)) yield { lfsPointers: chunk };
  } catch (error) {
    throw withCode(error, 'INTERNAL');
  }
}
