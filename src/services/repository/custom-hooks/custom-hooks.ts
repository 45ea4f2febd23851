import { wrap } from '#base/gitaly-error';
import { gatherBytes } from '#base/streams/gather-bytes';
import { HOOKS_NAME, setHooks } from '#domain/custom-hooks/set-hooks';
import type { HandlerContext } from '#rpc/server/handler';
import { bytesOf, openRequests } from '#services/convert/request/first-request';
import { MAX_CHUNK_BYTES } from '#services/convert/response/stream-responses';
import { archiveTree } from '#storage/archive/archive-tree';
import type {
  BackupCustomHooksRequest,
  GetCustomHooksRequest,
  RestoreCustomHooksRequest,
  SetCustomHooksRequest,
} from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

type Request = SetCustomHooksRequest | RestoreCustomHooksRequest;

/**
 * Replaces the custom hooks of a repository by those of a tar archive. Serves SetCustomHooks and
 * its older name RestoreCustomHooks.
 */
export async function receiveHooks(
  requests: AsyncIterable<Request>,
  context: HandlerContext,
  deps: RepositoryDependencies,
): Promise<Record<string, never>> {
  const { first, rest } = await openRequests(requests, 'getting first request: EOF');
  const repository = deps.storages.open(first.repository);

  const { signal } = context;
  try {
    const vote = deps.voteOf(context);
    await setHooks(repository, archiveOf(first, rest), { keepsSettings: true, vote, signal });
  } catch (error) {
    throw wrap(error, 'setting custom hooks');
  }
  return {};
}

async function* archiveOf(first: Request, rest: AsyncIterable<Request>): AsyncGenerator<Uint8Array> {
  yield first.data;
  yield* bytesOf(rest, ({ data }) => data);
}

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
