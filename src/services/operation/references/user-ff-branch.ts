import { create } from '@bufbuild/protobuf';
import { GitalyError, invalidArgument, wrap } from '#base/gitaly-error';
import { fastForward } from '#domain/ref-update/fast-forward';
import { UpdateFailedError } from '#domain/ref-update/refusals';
import { ReferenceNotFoundError } from '#domain/revisions/expected-oid';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import { updateContextOf } from '#services/convert/request/update-context';
import {
  UserFFBranchErrorSchema,
  type UserFFBranchRequest,
  type UserFFBranchResponseSchema,
} from '#wire/gen/operations_pb';
import type { OperationDependencies } from '../dependencies.ts';
import { customHookCase } from '../error-details.ts';
import { requireFilled, requireUser } from '../request-parts.ts';

/** Moves a branch forward to a commit on behalf of a user. */
export async function userFFBranch(
  request: UserFFBranchRequest,
  context: HandlerContext,
  deps: OperationDependencies,
): ResponseOf<typeof UserFFBranchResponseSchema> {
  const { commitId } = request;
  const repository = deps.storages.open(request.repository);
  requireFilled(request.branch, 'empty branch name');
  const user = requireUser(request.user);
  requireFilled(commitId, 'empty commit id');

  const { branch, expectedOldOid } = request;
  await fastForward(
    repository,
    { branch, commitOid: commitId, expectedOldOid },
    updateContextOf(user, context, deps.hooks),
  ).catch(refuse);
  return { branchUpdate: { commitId } };
}

function refuse(error: unknown): never {
  if (error instanceof ReferenceNotFoundError) throw invalidArgument(error.message);
  if (!(error instanceof UpdateFailedError)) throw error;
  const { refusal, cause } = error;
  if (refusal?.by === 'custom-hook') {
    const details = [create(UserFFBranchErrorSchema, { error: customHookCase(refusal.error) })];
    throw new GitalyError('PERMISSION_DENIED', refusal.error.message, { cause, details });
  }
  if (refusal?.by === 'git') {
    // Gitaly omits the name of the reference here.
    const { oldOid, newOid } = refusal.error;
    const details = [
      create(UserFFBranchErrorSchema, { error: { case: 'referenceUpdate', value: { oldOid, newOid } } }),
    ];
    throw wrap(cause, 'update reference with hooks', 'FAILED_PRECONDITION', { details });
  }
  throw wrap(cause, 'updating ref with hooks');
}
