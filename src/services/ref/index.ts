import type { ServiceImplementation } from '#rpc/server/handler';
import type { RefService } from '#wire/gen/ref_pb';
import { findBranch, findDefaultBranchName } from './branches/find-branch.ts';
import { findAllBranches, findAllRemoteBranches, findLocalBranches } from './branches/find-branches.ts';
import type { RefDependencies } from './dependencies.ts';
import { deleteRefs, updateReferences } from './references/change-references.ts';
import { findRefsByOID } from './references/find-refs-by-oid.ts';
import { listRefs } from './references/list-refs.ts';
import { packRefs } from './references/pack-refs.ts';
import { refExists } from './references/ref-exists.ts';
import {
  findAllBranchNames,
  findAllTagNames,
  listBranchNamesContainingCommit,
  listTagNamesContainingCommit,
} from './references/ref-names.ts';
import { findAllTags, findTag } from './tags/find-tags.ts';
import { getTagMessages, getTagSignatures } from './tags/tag-objects.ts';

/** Branches, tags and other references. */
export function refService(deps: RefDependencies): ServiceImplementation<typeof RefService> {
  return {
    deleteRefs: (request, context) => deleteRefs(request, context, deps),
    findAllBranches: (request, context) => findAllBranches(request, context, deps),
    findAllBranchNames: (request, context) => findAllBranchNames(request, context, deps),
    findAllRemoteBranches: (request, context) => findAllRemoteBranches(request, context, deps),
    findAllTagNames: (request, context) => findAllTagNames(request, context, deps),
    findAllTags: (request, context) => findAllTags(request, context, deps),
    findBranch: (request, context) => findBranch(request, context, deps),
    findDefaultBranchName: (request, context) => findDefaultBranchName(request, context, deps),
    findLocalBranches: (request, context) => findLocalBranches(request, context, deps),
    findRefsByOID: (request, context) => findRefsByOID(request, context, deps),
    findTag: (request, context) => findTag(request, context, deps),
    getTagMessages: (request, context) => getTagMessages(request, context, deps),
    getTagSignatures: (request, context) => getTagSignatures(request, context, deps),
    listBranchNamesContainingCommit: (request, context) =>
      listBranchNamesContainingCommit(request, context, deps),
    listRefs: (request, context) => listRefs(request, context, deps),
    listTagNamesContainingCommit: (request, context) => listTagNamesContainingCommit(request, context, deps),
    packRefs: (request, context) => packRefs(request, context, deps),
    refExists: (request, context) => refExists(request, context, deps),
    updateReferences: (requests, context) => updateReferences(requests, context, deps),
  };
}
