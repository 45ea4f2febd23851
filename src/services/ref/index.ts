import type { TransactionHooks } from '#domain/transactions/transaction-hooks';
import type { HandlerContext, ServiceImplementation } from '#rpc/server/handler';
import type { Repository } from '#storage/repository';
import type { Storages } from '#storage/storages';
import type { Vote } from '#storage/voter';
import type { RefService } from '#wire/gen/ref_pb';
import { deleteRefs } from './delete-refs.ts';
import { findAllBranches } from './find-all-branches.ts';
import { findAllBranchNames, findAllTagNames } from './find-all-ref-names.ts';
import { findAllRemoteBranches } from './find-all-remote-branches.ts';
import { findAllTags } from './find-all-tags.ts';
import { findBranch } from './find-branch.ts';
import { findDefaultBranchName } from './find-default-branch-name.ts';
import { findLocalBranches } from './find-local-branches.ts';
import { findRefsByOID } from './find-refs-by-oid.ts';
import { findTag } from './find-tag.ts';
import { getTagMessages } from './get-tag-messages.ts';
import { getTagSignatures } from './get-tag-signatures.ts';
import { listBranchNamesContainingCommit, listTagNamesContainingCommit } from './list-names-containing-commit.ts';
import { listRefs } from './list-refs.ts';
import { packRefs } from './pack-refs.ts';
import { refExists } from './ref-exists.ts';
import { updateReferences } from './update-references.ts';

export interface RefRooms {
  readonly storages: Storages;
  /** How the call takes part in the vote of a cluster; `undefined` when nothing is voted on. */
  readonly voteOf: (context: HandlerContext) => Vote | undefined;
  /** How git takes part in that vote when the call changes references; `undefined` when nothing is voted on. No user's hooks run. */
  readonly transactionHooks: (context: HandlerContext, repository: Repository) => TransactionHooks | undefined;
}

/** Branches, tags and other references. */
export function refService(rooms: RefRooms): ServiceImplementation<typeof RefService> {
  return {
    deleteRefs: (request, context) => deleteRefs(request, context, rooms),
    findAllBranches: (request, context) => findAllBranches(request, context, rooms),
    findAllBranchNames: (request, context) => findAllBranchNames(request, context, rooms),
    findAllRemoteBranches: (request, context) => findAllRemoteBranches(request, context, rooms),
    findAllTagNames: (request, context) => findAllTagNames(request, context, rooms),
    findAllTags: (request, context) => findAllTags(request, context, rooms),
    findBranch: (request, context) => findBranch(request, context, rooms),
    findDefaultBranchName: (request, context) => findDefaultBranchName(request, context, rooms),
    findLocalBranches: (request, context) => findLocalBranches(request, context, rooms),
    findRefsByOID: (request, context) => findRefsByOID(request, context, rooms),
    findTag: (request, context) => findTag(request, context, rooms),
    getTagMessages: (request, context) => getTagMessages(request, context, rooms),
    getTagSignatures: (request, context) => getTagSignatures(request, context, rooms),
    listBranchNamesContainingCommit: (request, context) => listBranchNamesContainingCommit(request, context, rooms),
    listRefs: (request, context) => listRefs(request, context, rooms),
    listTagNamesContainingCommit: (request, context) => listTagNamesContainingCommit(request, context, rooms),
    packRefs: (request, context) => packRefs(request, context, rooms),
    refExists: (request, context) => refExists(request, context, rooms),
    updateReferences: (requests, context) => updateReferences(requests, context, rooms),
  };
}
