import { MAX_LFS_FILE_POINTER_BYTES, parseLfsFilePointer } from '#git/objects/parse/lfs-file-pointer';
import type { LfsPointer } from '#git/objects/parse/parse-lfs-pointer';
import { walkObjects } from '#git/objects/walk-objects';
import type { GitRepository } from '#git/repository';

export interface PointerBlob extends LfsPointer {
  /** Id of the blob. */
  readonly blob: string;
}

/**
 * Yields the pointers of Git LFS that revisions reach, in batches. ListLFSPointers would not find
 * pointers with extensions, which have more than 200 bytes.
 *
 * @param revisions also pseudo-revisions, such as `--all`, checked by the caller.
 * @throws {GitalyError} without a code.
 */
export async function* lfsPointersOf(
  repository: GitRepository,
  revisions: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<PointerBlob[]> {
  const small = (aborted: AbortSignal) =>
    walkObjects(repository, {
      revisions,
      type: 'blob',
      blobsBelowBytes: MAX_LFS_FILE_POINTER_BYTES + 1,
      signal: aborted,
    });
  for await (const batch of repository.objects.readMany(small, { signal }))
    yield batch.flatMap(({ item, object }) => {
      const pointer = object && parseLfsFilePointer(object.data);
      return pointer === undefined ? [] : [{ ...pointer, blob: item.oid }];
    });
}
