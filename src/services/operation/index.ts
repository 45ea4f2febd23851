import type { ServiceImplementation } from '#rpc/server/handler';
import type { OperationService } from '#wire/gen/operations_pb';
import { userApplyPatch } from './commits/user-apply-patch.ts';
import { userCherryPick } from './commits/user-cherry-pick.ts';
import { userCommitFiles } from './commits/user-commit-files.ts';
import { userRevert } from './commits/user-revert.ts';
import { userUpdateSubmodule } from './commits/user-update-submodule.ts';
import type { OperationDependencies } from './dependencies.ts';
import { userMergeBranch } from './merging/user-merge-branch.ts';
import { userMergeToRef } from './merging/user-merge-to-ref.ts';
import { userRebaseConfirmable } from './merging/user-rebase-confirmable.ts';
import { userRebaseToRef } from './merging/user-rebase-to-ref.ts';
import { userSquash } from './merging/user-squash.ts';
import { userCreateBranch } from './references/user-create-branch.ts';
import { userCreateTag } from './references/user-create-tag.ts';
import { userDeleteBranch } from './references/user-delete-branch.ts';
import { userDeleteTag } from './references/user-delete-tag.ts';
import { userFFBranch } from './references/user-ff-branch.ts';
import { userUpdateBranch } from './references/user-update-branch.ts';

/** Changes on behalf of users, made by the server instead of by a push. */
export function operationService(
  deps: OperationDependencies,
): ServiceImplementation<typeof OperationService> {
  return {
    userApplyPatch: (requests, context) => userApplyPatch(requests, context, deps),
    userCherryPick: (request, context) => userCherryPick(request, context, deps),
    userCommitFiles: (requests, context) => userCommitFiles(requests, context, deps),
    userCreateBranch: (request, context) => userCreateBranch(request, context, deps),
    userCreateTag: (request, context) => userCreateTag(request, context, deps),
    userDeleteBranch: (request, context) => userDeleteBranch(request, context, deps),
    userDeleteTag: (request, context) => userDeleteTag(request, context, deps),
    userFFBranch: (request, context) => userFFBranch(request, context, deps),
    userMergeBranch: (requests, context) => userMergeBranch(requests, context, deps),
    userMergeToRef: (request, context) => userMergeToRef(request, context, deps),
    userRebaseConfirmable: (requests, context) => userRebaseConfirmable(requests, context, deps),
    userRebaseToRef: (request, context) => userRebaseToRef(request, context, deps),
    userRevert: (request, context) => userRevert(request, context, deps),
    userSquash: (request, context) => userSquash(request, context, deps),
    userUpdateBranch: (request, context) => userUpdateBranch(request, context, deps),
    userUpdateSubmodule: (request, context) => userUpdateSubmodule(request, context, deps),
  };
}
