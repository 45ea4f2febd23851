import { invalidArgument } from '#base/gitaly-error';
import type { BranchChange } from '#domain/cherry-pick/change-onto-branch';
import type { HandlerContext } from '#rpc/server/handler';
import { usesMailmap } from '#services/convert/request/feature-flags';
import { remoteOpener } from '#services/convert/request/open-remote';
import type { UserCherryPickRequest, UserRevertRequest } from '#wire/gen/operations_pb';
import type { User } from '#wire/gen/shared_pb';
import type { OperationDependencies } from '../dependencies.ts';
import { requireFilled, requireUser, signingOf } from '../request-parts.ts';

type PickRequest = UserCherryPickRequest | UserRevertRequest;

/**
 * Checks the fields that UserCherryPick and UserRevert have in common.
 *
 * @throws {GitalyError} INVALID_ARGUMENT
 */
export function parsePickRequest(
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
