import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, type StatusCode, wrap } from '#base/gitaly-error';
import { ChangesAlreadyAppliedError } from '#domain/cherry-pick/apply-change';
import { BranchDivergedError } from '#domain/cherry-pick/change-onto-branch';
import { revertOnBranch } from '#domain/cherry-pick/revert-on-branch';
import { isRateLimited } from '#domain/gitlab-api/internal-api';
import { MergeConflictError } from '#domain/merge/merge-conflict-error';
import { UpdateFailedError } from '#domain/ref-update/refusals';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import { updateContextOf } from '#services/convert/request/update-context';
import {
  UserRevertErrorSchema,
  type UserRevertRequest,
  type UserRevertResponseSchema,
} from '#wire/gen/operations_pb';
import { toBranchUpdate } from '../branch-update.ts';
import type { OperationDependencies } from '../dependencies.ts';
import { customHookCase, mergeConflictDetail } from '../error-details.ts';
import { parsePickRequest } from './pick-request.ts';

/** Applies the inverse of one commit to a branch. */
export async function userRevert(
  request: UserRevertRequest,
  context: HandlerContext,
  deps: OperationDependencies,
): ResponseOf<typeof UserRevertResponseSchema> {
  const repository = deps.storages.open(request.repository);
  const { user, change } = parsePickRequest(request, context, deps);

  const updateContext = updateContextOf(user, context, deps.hooks);
  const branchUpdate = await revertOnBranch(repository, change, updateContext).catch(refuse);
  return { branchUpdate: toBranchUpdate(branchUpdate) };
}

function refuse(error: unknown): never {
  if (error instanceof MergeConflictError) {
    const value = mergeConflictDetail(error);
    throw failed('FAILED_PRECONDITION', error.message, error, { case: 'mergeConflict', value });
  }
  if (error instanceof ChangesAlreadyAppliedError) {
    const reason = { case: 'changesAlreadyApplied', value: {} } as const;
    throw failed('FAILED_PRECONDITION', `revert: ${error.message}`, error, reason);
  }
  if (error instanceof BranchDivergedError) {
    const [parentRevision, childRevision] = [Buffer.from(error.branchOid), Buffer.from(error.newOid)];
    const reason = { case: 'notAncestor', value: { parentRevision, childRevision } } as const;
    throw failed('FAILED_PRECONDITION', `revert: ${error.message}`, error, reason);
  }
  if (!(error instanceof UpdateFailedError)) throw error;
  const { refusal, cause } = error;
  if (refusal?.by === 'custom-hook')
    throw failed('PERMISSION_DENIED', 'revert: custom hook error', cause, customHookCase(refusal.error));
  throw wrap(cause, 'update reference with hooks', isRateLimited(cause) ? 'RESOURCE_EXHAUSTED' : 'INTERNAL');
}

type Reason = NonNullable<MessageInitShape<typeof UserRevertErrorSchema>['error']>;

function failed(code: StatusCode, message: string, cause: unknown, error: Reason): GitalyError {
  return new GitalyError(code, message, { cause, details: [create(UserRevertErrorSchema, { error })] });
}
