import { serveWith } from '#rpc/server/handler';
import { OperationService } from '#wire/gen/operations_pb';
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
export function operationService(deps: OperationDependencies) {
  return serveWith(OperationService, deps, {
    userApplyPatch,
    userCherryPick,
    userCommitFiles,
    userCreateBranch,
    userCreateTag,
    userDeleteBranch,
    userDeleteTag,
    userFFBranch,
    userMergeBranch,
    userMergeToRef,
    userRebaseConfirmable,
    userRebaseToRef,
    userRevert,
    userSquash,
    userUpdateBranch,
    userUpdateSubmodule,
  });
}
