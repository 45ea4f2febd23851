import { invalidArgument } from '#base/gitaly-error';
import { isAncestor } from '#git/history/graph/is-ancestor';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type { CommitIsAncestorRequest, CommitIsAncestorResponseSchema } from '#wire/gen/commit_pb';
import type { CommitDependencies } from '../dependencies.ts';

/**
 * Reports whether one commit is reachable from another; a commit is its own ancestor. Revisions
 * without a commit are not ancestors.
 */
export async function commitIsAncestor(
  request: CommitIsAncestorRequest,
  context: HandlerContext,
  deps: CommitDependencies,
): ResponseOf<typeof CommitIsAncestorResponseSchema> {
  const repository = deps.storages.open(request.repository);
  const { ancestorId, childId } = request;
  if (ancestorId === '') throw invalidArgument('empty ancestor sha');
  if (childId === '') throw invalidArgument('empty child sha');

  const { signal } = context;
  return {
    value: await isAncestor(repository, { ancestor: ancestorId, descendant: childId }, { signal }),
  };
}
