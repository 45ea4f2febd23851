import { invalidArgument } from '#base/gitaly-error';
import { isAncestor } from '#git/history/graph/is-ancestor';
import type { Handlers } from '../dependencies.ts';

/**
 * Reports whether one commit is reachable from another; a commit is its own ancestor. Revisions
 * without a commit are not ancestors.
 */
export const commitIsAncestor: Handlers['commitIsAncestor'] = async (request, context, deps) => {
  const repository = deps.storages.open(request.repository);
  const { ancestorId, childId } = request;
  if (ancestorId === '') throw invalidArgument('empty ancestor sha');
  if (childId === '') throw invalidArgument('empty child sha');

  const { signal } = context;
  return {
    value: await isAncestor(repository, { ancestor: ancestorId, descendant: childId }, { signal }),
  };
};
