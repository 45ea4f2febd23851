import { gatherBytes } from '#base/streams/gather-bytes';
import { HOOKS_NAME } from '#domain/custom-hooks/set-hooks';
import type { HandlerContext } from '#rpc/server/handler';
import { MAX_CHUNK_BYTES } from '#services/convert/response/stream-responses';
import { archiveTree } from '#storage/archive/archive-tree';
import type { BackupCustomHooksRequest, GetCustomHooksRequest } from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/**
 * Streams the custom hooks of a repository as a tar archive; nothing if it has none. Serves
 * GetCustomHooks and its older name BackupCustomHooks.
 */
export async function* sendHooks(
  request: GetCustomHooksRequest | BackupCustomHooksRequest,
  { signal }: HandlerContext,
  deps: RepositoryDependencies,
): AsyncGenerator<{ data: Buffer }> {
  const repository = deps.storages.open(request.repository);
  const archive = archiveTree(`${repository.path}/${HOOKS_NAME}`, { name: HOOKS_NAME, signal });
  for await (const data of gatherBytes(archive, MAX_CHUNK_BYTES)) yield { data };
}
