import { serveWith } from '#rpc/server/handler';
import { RefService } from '#wire/gen/ref_pb';
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
export function refService(deps: RefDependencies) {
  return serveWith(RefService, deps, {
    deleteRefs,
    findAllBranches,
    findAllBranchNames,
    findAllRemoteBranches,
    findAllTagNames,
    findAllTags,
    findBranch,
    findDefaultBranchName,
    findLocalBranches,
    findRefsByOID,
    findTag,
    getTagMessages,
    getTagSignatures,
    listBranchNamesContainingCommit,
    listRefs,
    listTagNamesContainingCommit,
    packRefs,
    refExists,
    updateReferences,
  });
}
