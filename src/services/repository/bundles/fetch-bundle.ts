import { GitalyError, wrapped } from '#base/gitaly-error';
import { fetchBundle as fetch } from '#domain/bundle/fetch-bundle';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import { allBytesOf, openRequests } from '#services/convert/request/first-request';
import type { FetchBundleRequest, FetchBundleResponseSchema } from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Copies the references and objects of a bundle into a repository. */
export async function fetchBundle(
  requests: AsyncIterable<FetchBundleRequest>,
  context: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof FetchBundleResponseSchema> {
  const opened = await openRequests(requests);
  const { first } = opened;
  if (first === undefined) throw new GitalyError('INTERNAL', 'first request: EOF');
  const repository = deps.storages.open(first.repository);

  const pieces = allBytesOf({ ...opened, first }, ({ data }) => data);
  const { updateHead } = first;
  const hooks = deps.transactionHooks(context);
  const options = { updateHead, hooks, signal: context.signal };
  await fetch(repository, pieces, options).catch(wrapped('fetch bundle'));
  return {};
}
