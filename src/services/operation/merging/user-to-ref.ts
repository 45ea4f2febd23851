import { invalidArgument } from '#base/gitaly-error';
import { isMergeRequestReference } from '#domain/merge/merge-request-reference';
import { mergeToReference } from '#domain/merge/merge-to-reference';
import { rebaseToReference } from '#domain/rebase/rebase-to-reference';
import { usesMailmap } from '#services/convert/request/feature-flags';
import type { Handlers } from '../dependencies.ts';
import { requireFilled, requireUser, signingOf } from '../request-parts.ts';

/**
 * Computes the merge that a merge request would make and stores it. Neither GitLab nor hooks are
 * called.
 */
export const userMergeToRef: Handlers['userMergeToRef'] = async (request, context, deps) => {
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
};

/** Rebases commits and stores the result. Neither GitLab nor hooks are called. */
export const userRebaseToRef: Handlers['userRebaseToRef'] = async (request, context, deps) => {
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
};
