import { invalidArgument } from '#base/gitaly-error';
import { isMergeRequestReference } from '#domain/merge/merge-request-reference';
import { rebaseToReference } from '#domain/rebase/rebase-to-reference';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import { usesMailmap } from '#services/convert/request/feature-flags';
import type { UserRebaseToRefRequest, UserRebaseToRefResponseSchema } from '#wire/gen/operations_pb';
import type { OperationDependencies } from '../dependencies.ts';
import { requireFilled, requireUser } from '../request-parts.ts';

/** Rebases commits and stores the result. Neither GitLab nor hooks are called. */
export async function userRebaseToRef(
  request: UserRebaseToRefRequest,
  context: HandlerContext,
  deps: OperationDependencies,
): ResponseOf<typeof UserRebaseToRefResponseSchema> {
  const { firstParentRef, sourceSha, targetRef, expectedOldOid } = request;
  const repository = deps.storages.open(request.repository);
  requireFilled(firstParentRef, 'empty FirstParentRef');
  const user = requireUser(request.user, 'empty User');
  requireFilled(sourceSha, 'empty SourceSha');
  requireFilled(targetRef, 'empty TargetRef');
  if (!isMergeRequestReference(targetRef)) throw invalidArgument('invalid TargetRef');

  const rebase = {
    upstream: firstParentRef,
    source: sourceSha,
    target: Buffer.from(targetRef),
    expectedOldOid,
    user,
    seconds: request.timestamp?.seconds,
    mailmap: usesMailmap(context),
  };
  const hooks = deps.transactionHooks(context);
  return { commitId: await rebaseToReference(repository, rebase, { hooks, signal: context.signal }) };
}
