import type { SigningKeys } from '#domain/signing/signing-keys';
import type { ServiceImplementation } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import type { CommitService } from '#wire/gen/commit_pb';
import { checkObjectsExist } from './check-objects-exist.ts';
import { commitIsAncestor } from './commit-is-ancestor.ts';
import type { commitLanguages } from './commit-languages.ts';
import { commitStats } from './commit-stats.ts';
import { commitsByMessage } from './commits-by-message.ts';
import { countCommits } from './count-commits.ts';
import { countDivergingCommits } from './count-diverging-commits.ts';
import { filterShasWithSignatures } from './filter-shas-with-signatures.ts';
import { findAllCommits } from './find-all-commits.ts';
import { findCommit } from './find-commit.ts';
import { findCommits } from './find-commits.ts';
import { getCommitMessages } from './get-commit-messages.ts';
import { getCommitSignatures } from './get-commit-signatures.ts';
import { getTreeEntries } from './get-tree-entries.ts';
import { lastCommitForPath } from './last-commit-for-path.ts';
import { listAllCommits } from './list-all-commits.ts';
import { listCommits } from './list-commits.ts';
import { listCommitsByOid } from './list-commits-by-oid.ts';
import { listCommitsByRefName } from './list-commits-by-ref-name.ts';
import { listFiles } from './list-files.ts';
import { listLastCommitsForTree } from './list-last-commits-for-tree.ts';
import { rawBlame } from './raw-blame.ts';
import { treeEntry } from './tree-entry.ts';

export interface CommitRooms {
  readonly storages: Storages;
  /** By which the server knows its own signatures; `undefined` when it signs nothing. */
  readonly signingKeys: SigningKeys | undefined;
}

/** Commits and what hangs on them. */
export function commitService(rooms: CommitRooms): ServiceImplementation<typeof CommitService> {
  // Loaded at its first call: every start would pay for it, and nobody asks for languages in a hurry.
  let loading: Promise<ReturnType<typeof commitLanguages>> | undefined;
  const languages = () => (loading ??= import('./commit-languages.ts').then((loaded) => loaded.commitLanguages(rooms)));
  return {
    checkObjectsExist: (requests, context) => checkObjectsExist(requests, context, rooms),
    commitStats: (request, context) => commitStats(request, context, rooms),
    commitIsAncestor: (request, context) => commitIsAncestor(request, context, rooms),
    commitsByMessage: (request, context) => commitsByMessage(request, context, rooms),
    countCommits: (request, context) => countCommits(request, context, rooms),
    countDivergingCommits: (request, context) => countDivergingCommits(request, context, rooms),
    filterShasWithSignatures: (requests, context) => filterShasWithSignatures(requests, context, rooms),
    findAllCommits: (request, context) => findAllCommits(request, context, rooms),
    findCommits: (request, context) => findCommits(request, context, rooms),
    getCommitMessages: (request, context) => getCommitMessages(request, context, rooms),
    getCommitSignatures: (request, context) => getCommitSignatures(request, context, rooms),
    lastCommitForPath: (request, context) => lastCommitForPath(request, context, rooms),
    listAllCommits: (request, context) => listAllCommits(request, context, rooms),
    listCommits: (request, context) => listCommits(request, context, rooms),
    listLastCommitsForTree: (request, context) => listLastCommitsForTree(request, context, rooms),
    listCommitsByOid: (request, context) => listCommitsByOid(request, context, rooms),
    listCommitsByRefName: (request, context) => listCommitsByRefName(request, context, rooms),
    commitLanguages: async (request, context) => (await languages())(request, context),
    rawBlame: (request, context) => rawBlame(request, context, rooms),
    treeEntry: (request, context) => treeEntry(request, context, rooms),
    getTreeEntries: (request, context) => getTreeEntries(request, context, rooms),
    listFiles: (request, context) => listFiles(request, context, rooms),
    findCommit: (request, context) => findCommit(request, context, rooms),
  };
}
