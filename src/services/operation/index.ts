import type { HookManager } from '#domain/hooks/hook-manager';
import type { RemoteRepositories } from '#domain/remote-repository/remote-repositories';
import type { CommitSigning } from '#domain/signing/commit-signing';
import type { TransactionHooks } from '#domain/transactions/transaction-hooks';
import type { HandlerContext, ServiceImplementation } from '#rpc/server/handler';
import type { Repository } from '#storage/repository';
import type { Storages } from '#storage/storages';
import type { Vote } from '#storage/voter';
import type { OperationService } from '#wire/gen/operations_pb';
import { userApplyPatch } from './user-apply-patch.ts';
import { userCherryPick } from './user-cherry-pick.ts';
import { userCommitFiles } from './user-commit-files.ts';
import { userCreateBranch } from './user-create-branch.ts';
import { userCreateTag } from './user-create-tag.ts';
import { userDeleteBranch } from './user-delete-branch.ts';
import { userDeleteTag } from './user-delete-tag.ts';
import { userFFBranch } from './user-ff-branch.ts';
import { userMergeBranch } from './user-merge-branch.ts';
import { userMergeToRef } from './user-merge-to-ref.ts';
import { userRebaseConfirmable } from './user-rebase-confirmable.ts';
import { userRebaseToRef } from './user-rebase-to-ref.ts';
import { userRevert } from './user-revert.ts';
import { userSquash } from './user-squash.ts';
import { userUpdateBranch } from './user-update-branch.ts';
import { userUpdateSubmodule } from './user-update-submodule.ts';

export interface OperationRooms {
  readonly storages: Storages;
  readonly hooks: HookManager;
  /** Repositories of other servers, where a change may begin. */
  readonly remotes: RemoteRepositories;
  /** What becomes of commits that are to be signed. */
  readonly commitSigning: CommitSigning;
  /** How the call takes part in the vote of a cluster; `undefined` when nothing is voted on. */
  readonly voteOf: (context: HandlerContext) => Vote | undefined;
  /** How git takes part in that vote where users' hooks have no say; `undefined` when nothing is voted on. */
  readonly transactionHooks: (context: HandlerContext, repository: Repository) => TransactionHooks | undefined;
}

/** Changes on behalf of users: what they would push, made by the server. */
export function operationService(rooms: OperationRooms): ServiceImplementation<typeof OperationService> {
  return {
    userApplyPatch: (requests, context) => userApplyPatch(requests, context, rooms),
    userCherryPick: (request, context) => userCherryPick(request, context, rooms),
    userCommitFiles: (requests, context) => userCommitFiles(requests, context, rooms),
    userCreateBranch: (request, context) => userCreateBranch(request, context, rooms),
    userCreateTag: (request, context) => userCreateTag(request, context, rooms),
    userDeleteBranch: (request, context) => userDeleteBranch(request, context, rooms),
    userDeleteTag: (request, context) => userDeleteTag(request, context, rooms),
    userFFBranch: (request, context) => userFFBranch(request, context, rooms),
    userMergeBranch: (requests, context) => userMergeBranch(requests, context, rooms),
    userMergeToRef: (request, context) => userMergeToRef(request, context, rooms),
    userRebaseConfirmable: (requests, context) => userRebaseConfirmable(requests, context, rooms),
    userRebaseToRef: (request, context) => userRebaseToRef(request, context, rooms),
    userRevert: (request, context) => userRevert(request, context, rooms),
    userSquash: (request, context) => userSquash(request, context, rooms),
    userUpdateBranch: (request, context) => userUpdateBranch(request, context, rooms),
    userUpdateSubmodule: (request, context) => userUpdateSubmodule(request, context, rooms),
  };
}
