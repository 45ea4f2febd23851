import type { ServiceImplementation } from '#rpc/server/handler';
import type { OperationService } from '#wire/gen/operations_pb';
import { userApplyPatch } from './commits/user-apply-patch.ts';
import { userCommitFiles } from './commits/user-commit-files.ts';
import { userCherryPick, userRevert } from './commits/user-pick.ts';
import { userUpdateSubmodule } from './commits/user-update-submodule.ts';
import type { OperationDependencies } from './dependencies.ts';
import { userMergeBranch, userRebaseConfirmable } from './merging/user-confirmed.ts';
import { userSquash } from './merging/user-squash.ts';
import { userMergeToRef, userRebaseToRef } from './merging/user-to-ref.ts';
import {
  userCreateBranch,
  userDeleteBranch,
  userFFBranch,
  userUpdateBranch,
} from './references/user-branches.ts';
import { userCreateTag, userDeleteTag } from './references/user-tags.ts';

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
