import { invalidArgument } from '#base/gitaly-error';
import { isMergeRequestReference } from '#domain/merge/merge-request-reference';
import { mergeToReference } from '#domain/merge/merge-to-reference';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type { UserMergeToRefRequest, UserMergeToRefResponseSchema } from '#wire/gen/operations_pb';
import type { OperationDependencies } from '../dependencies.ts';
import { requireFilled, requireUser, signingOf } from '../request-parts.ts';

/**
 * Computes the merge that a merge request would make and stores it. Neither GitLab nor hooks are
 * called.
 */
export async function userMergeToRef(
  request: UserMergeToRefRequest,
  context: HandlerContext,
  deps: OperationDependencies,
): ResponseOf<typeof UserMergeToRefResponseSchema> {
  const { branch, firstParentRef, sourceSha, targetRef, message, expectedOldOid } = request;
  const repository = deps.storages.open(request.repository);
  // As in Gitaly, an empty first parent counts as a missing one.
  const base = firstParentRef.length > 0 ? firstParentRef : branch;
  requireFilled(base, 'empty first parent ref and branch name');
  const user = requireUser(request.user);
  requireFilled(sourceSha, 'empty source SHA');
  requireFilled(targetRef, 'empty target ref');
  if (!isMergeRequestReference(targetRef)) throw invalidArgument('invalid target ref');

  const merge = {
    base,
    source: sourceSha,
    target: Buffer.from(targetRef),
    expectedOldOid,
    user,
    seconds: request.timestamp?.seconds,
    message,
    signing: signingOf(request, context, deps),
  };
  const hooks = deps.transactionHooks(context);
  return { commitId: await mergeToReference(repository, merge, { hooks, signal: context.signal }) };
}
