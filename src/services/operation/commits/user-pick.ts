import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, invalidArgument, type StatusCode, wrap } from '#base/gitaly-error';
import { ChangesAlreadyAppliedError } from '#domain/cherry-pick/apply-change';
import { type BranchChange, BranchDivergedError } from '#domain/cherry-pick/change-onto-branch';
import { cherryPickOntoBranch } from '#domain/cherry-pick/cherry-pick-onto-branch';
import { revertOnBranch } from '#domain/cherry-pick/revert-on-branch';
import { isRateLimited } from '#domain/gitlab-api/internal-api';
import { MergeConflictError } from '#domain/merge/merge-conflict-error';
import { UpdateFailedError } from '#domain/ref-update/refusals';
import type { HandlerContext } from '#rpc/server/handler';
import { usesMailmap } from '#services/convert/request/feature-flags';
import { remoteOpener } from '#services/convert/request/open-remote';
import { updateContextOf } from '#services/convert/request/update-context';
import {
  UserCherryPickErrorSchema,
  type UserCherryPickRequest,
  UserRevertErrorSchema,
  type UserRevertRequest,
} from '#wire/gen/operations_pb';
import type { User } from '#wire/gen/shared_pb';
import { toBranchUpdate } from '../branch-update.ts';
import type { Handlers, OperationDependencies } from '../dependencies.ts';
import { customHookCase, mergeConflictDetail } from '../error-details.ts';
import { requireFilled, requireUser, signingOf } from '../request-parts.ts';

/** Applies the change of one commit to a branch. */
export const userCherryPick: Handlers['userCherryPick'] = async (request, context, deps) => {
  const { commitAuthorName: authorName, commitAuthorEmail: authorEmail } = request;
  const repository = deps.storages.open(request.repository);
  const { user, change } = parsePickRequest(request, context, deps);

  const branchUpdate = await cherryPickOntoBranch(
    repository,
    { ...change, authorName, authorEmail },
    updateContextOf(user, context, deps.hooks),
  ).catch(refuse);
  return { branchUpdate: toBranchUpdate(branchUpdate) };
};

function refuse(error: unknown): never {
  if (error instanceof MergeConflictError) {
    throw failed(error.message, error, { case: 'cherryPickConflict', value: mergeConflictDetail(error) });
  }
  if (error instanceof ChangesAlreadyAppliedError) {
    throw failed(`cherry-pick: ${error.message}`, error, { case: 'changesAlreadyApplied', value: {} });
  }
  if (error instanceof BranchDivergedError) {
    const [parentRevision, childRevision] = [Buffer.from(error.branchOid), Buffer.from(error.newOid)];
    throw failed(`cherry-pick: ${error.message}`, error, {
      case: 'targetBranchDiverged',
      value: { parentRevision, childRevision },
    });
  }
  if (!(error instanceof UpdateFailedError)) throw error;
  const { refusal, cause } = error;
  if (refusal?.by !== 'custom-hook') throw wrap(cause, 'update reference with hooks');
  const errorMessage = refusal.error.message.replace(/\n$/, '');
  throw failed('access check failed', cause, { case: 'accessCheck', value: { errorMessage } });
}

type Reason = NonNullable<MessageInitShape<typeof UserCherryPickErrorSchema>['error']>;

function failed(message: string, cause: unknown, error: Reason): GitalyError {
  const details = [create(UserCherryPickErrorSchema, { error })];
  return new GitalyError('FAILED_PRECONDITION', message, { cause, details });
}

/** Applies the inverse of one commit to a branch. */
export const userRevert: Handlers['userRevert'] = async (request, context, deps) => {
  const repository = deps.storages.open(request.repository);
  const { user, change } = parsePickRequest(request, context, deps);

  const updateContext = updateContextOf(user, context, deps.hooks);
  const branchUpdate = await revertOnBranch(repository, change, updateContext).catch(refuseRevert);
  return { branchUpdate: toBranchUpdate(branchUpdate) };
};

function refuseRevert(error: unknown): never {
  if (error instanceof MergeConflictError) {
    const value = mergeConflictDetail(error);
    throw failedRevert('FAILED_PRECONDITION', error.message, error, { case: 'mergeConflict', value });
  }
  if (error instanceof ChangesAlreadyAppliedError) {
    const reason = { case: 'changesAlreadyApplied', value: {} } as const;
    throw failedRevert('FAILED_PRECONDITION', `revert: ${error.message}`, error, reason);
  }
  if (error instanceof BranchDivergedError) {
    const [parentRevision, childRevision] = [Buffer.from(error.branchOid), Buffer.from(error.newOid)];
    const reason = { case: 'notAncestor', value: { parentRevision, childRevision } } as const;
    throw failedRevert('FAILED_PRECONDITION', `revert: ${error.message}`, error, reason);
  }
  if (!(error instanceof UpdateFailedError)) throw error;
  const { refusal, cause } = error;
  if (refusal?.by === 'custom-hook')
    throw failedRevert(
      'PERMISSION_DENIED',
      'revert: custom hook error',
      cause,
      customHookCase(refusal.error),
    );
  throw wrap(cause, 'update reference with hooks', isRateLimited(cause) ? 'RESOURCE_EXHAUSTED' : 'INTERNAL');
}

type RevertReason = NonNullable<MessageInitShape<typeof UserRevertErrorSchema>['error']>;

function failedRevert(code: StatusCode, message: string, cause: unknown, error: RevertReason): GitalyError {
  return new GitalyError(code, message, { cause, details: [create(UserRevertErrorSchema, { error })] });
}

type PickRequest = UserCherryPickRequest | UserRevertRequest;

/**
 * Checks the fields that UserCherryPick and UserRevert have in common.
 *
 * @throws {GitalyError} INVALID_ARGUMENT
 */
function parsePickRequest(
  request: PickRequest,
  context: HandlerContext,
  deps: OperationDependencies,
): { readonly user: User; readonly change: BranchChange } {
  const { branchName, message, startRepository, expectedOldOid, dryRun } = request;
  const user = requireUser(request.user, 'empty User');
  if (request.commit === undefined) throw invalidArgument('empty Commit');
  requireFilled(branchName, 'empty BranchName');
  requireFilled(message, 'empty Message');
  const change = {
    commit: request.commit.id,
    branchName,
    startRevision: request.startBranchName,
    openRemote: startRepository && remoteOpener(startRepository, context, deps.remotes),
    user,
    seconds: request.timestamp?.seconds,
    mailmap: usesMailmap(context),
    message,
    expectedOldOid,
    dryRun,
    signing: signingOf(request, context, deps),
  };
  return { user, change };
}
