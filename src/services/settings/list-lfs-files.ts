import type { MessageInitShape } from '@bufbuild/protobuf';
import { withCode } from '#base/gitaly-error';
import { MAX_LFS_FILE_POINTER_BYTES, parseLfsFilePointer } from '#git/objects/parse/lfs-file-pointer';
import { walkObjects } from '#git/objects/walk-objects';
import type { HandlerContext } from '#rpc/server/handler';
import type {
  ListLfsFilesRequest,
  ListLfsFilesResponseSchema,
} from '#wire/gen/gitalyts/settings/v1/settings_pb';
import type { SettingsDependencies } from './dependencies.ts';

/** Files in a message of some 300 KB. */
const MAX_FILES = 4000;

/**
 * Lists the files that pointers in the history of all references name. ListLFSPointers would not
 * find pointers with extensions, which have more than 200 bytes.
 */
export async function* listLfsFiles(
  request: ListLfsFilesRequest,
  { signal }: HandlerContext,
  { storages }: SettingsDependencies,
): AsyncGenerator<MessageInitShape<typeof ListLfsFilesResponseSchema>> {
  const repository = storages.open(request.repository);
  const small = (aborted: AbortSignal) =>
    walkObjects(repository, {
      revisions: ['--all'],
      type: 'blob',
      blobsBelowBytes: MAX_LFS_FILE_POINTER_BYTES + 1,
      signal: aborted,
    });
  let files: { sha256: string; size: bigint }[] = [];
  try {
    for await (const batch of repository.objects.readMany(small, { signal })) {
      for (const { object } of batch) {
        const pointer = object && parseLfsFilePointer(object.data);
        if (pointer !== undefined) files.push({ sha256: pointer.fileOid, size: pointer.fileSize });
      }
      if (files.length < MAX_FILES) continue;
      yield { files };
      files = [];
    }
  } catch (error) {
    throw withCode(error, 'INTERNAL');
  }
  if (files.length > 0) yield { files };
}
