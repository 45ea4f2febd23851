import { withCode } from '#base/gitaly-error';
import { lfsPointersOf } from '#domain/settings/lfs-pointers';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import type {
  ListLfsFilesRequest,
  ListLfsFilesResponseSchema,
} from '#wire/gen/gitalyts/settings/v1/settings_pb';
import type { SettingsDependencies } from './dependencies.ts';

/** Files in a message of some 300 KB. */
const MAX_FILES = 4000;

/** Lists the files that pointers in the history of all references name. */
export async function* listLfsFiles(
  request: ListLfsFilesRequest,
  { signal }: HandlerContext,
  { storages }: SettingsDependencies,
): ResponsesOf<typeof ListLfsFilesResponseSchema> {
  const repository = storages.open(request.repository);
  let files: { sha256: string; size: bigint }[] = [];
  try {
    for await (const pointers of lfsPointersOf(repository, ['--all'], signal)) {
      for (const { fileOid, fileSize } of pointers) files.push({ sha256: fileOid, size: fileSize });
      if (files.length < MAX_FILES) continue;
      yield { files };
      files = [];
    }
  } catch (error) {
    throw withCode(error, 'INTERNAL');
  }
  if (files.length > 0) yield { files };
}
