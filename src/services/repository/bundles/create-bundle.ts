import { wrap } from '#base/gitaly-error';
import { bundleOfAll } from '#domain/bundle/create-bundle';
import { cleanWorktrees } from '#domain/worktrees/clean-worktrees';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import { takeBytes } from '#services/convert/request/take-bytes';
import type { CreateBundleRequest, CreateBundleResponseSchema } from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Streams a bundle of all references. */
export async function* createBundle(
  request: CreateBundleRequest,
  { signal }: HandlerContext,
  deps: RepositoryDependencies,
): ResponsesOf<typeof CreateBundleResponseSchema> {
  const repository = deps.storages.open(request.repository);

  await cleanWorktrees(repository, { signal });
  try {
    const pieces = takeBytes(bundleOfAll(repository, { signal }), Number.POSITIVE_INFINITY);
    for await (const data of pieces) yield { data };
  } catch (error) {
    throw wrap(error, 'create bundle');
  }
}
