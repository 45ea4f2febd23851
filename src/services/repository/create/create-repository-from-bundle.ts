import { GitalyError, wrapped } from '#base/gitaly-error';
import { createFromBundle } from '#domain/create-copy/create-from-bundle';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import { allBytesOf, openRequests } from '#services/convert/request/first-request';
import type {
  CreateRepositoryFromBundleRequest,
  CreateRepositoryFromBundleResponseSchema,
} from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Creates a repository from the bytes of a bundle, whole or not at all. */
export async function createRepositoryFromBundle(
  requests: AsyncIterable<CreateRepositoryFromBundleRequest>,
  context: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof CreateRepositoryFromBundleResponseSchema> {
  const opened = await openRequests(requests);
  const { first } = opened;
  if (first === undefined) throw new GitalyError('INTERNAL', 'first request failed: EOF');
  deps.storages.locate(first.repository);

  const pieces = allBytesOf({ ...opened, first }, ({ data }) => data);
  const options = { signal: context.signal, vote: deps.voteOf(context) };
  await createFromBundle(deps.storages, first.repository, pieces, options).catch(
    wrapped('creating repository'),
  );
  return {};
}
