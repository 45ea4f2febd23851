import { invalidArgument, wrap } from '#base/gitaly-error';
import { findMergeBase as findBase } from '#domain/history/find-merge-base';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type { FindMergeBaseRequest, FindMergeBaseResponseSchema } from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/**
 * Returns the best common ancestor of revisions; an empty id if there is none or a revision has no
 * commit.
 */
export async function findMergeBase(
  request: FindMergeBaseRequest,
  context: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof FindMergeBaseResponseSchema> {
  const repository = deps.storages.open(request.repository);
  if (request.revisions.length < 2) throw invalidArgument('at least 2 revisions are required');

  try {
    const base = await findBase(
      repository,
      request.revisions.map((revision) => Buffer.from(revision)),
      context.signal,
    );
    return { base: base ?? '' };
  } catch (error) {
    throw wrap(error, 'cmd');
  }
}
